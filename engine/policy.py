"""A policy is an architecture (stateless) and one flat vector of parameters that the named weights are views of.

The flat vector makes the optimiser, gradient clipping, copying and publishing a handful of operations whatever the
number of layers is.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from .kv_cache import LlamaCache
from .llama import LlamaShape, Rotary, Weights, forward, fuse, head, linear_layers, llama_shape, unfuse
from .lora import LinearLayer


@dataclass
class Parameters:
    flat: Tensor
    weights: Weights

    @staticmethod
    def pack(weights: Weights) -> Parameters:
        flat = torch.cat([w.detach().float().reshape(-1) for w in weights.values()])
        return Parameters(flat, views(flat, {name: w.shape for name, w in weights.items()}))

    def copy(self) -> Parameters:
        flat = self.flat.clone()
        return Parameters(flat, views(flat, {name: w.shape for name, w in self.weights.items()}))


def views(flat: Tensor, shapes: dict[str, torch.Size]) -> Weights:
    parts = flat.split([math.prod(shape) for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


class DecodingCache(Protocol):
    """Sequences that are being decoded, in dense rows; see `kv_cache.LlamaCache` for what each method does."""

    rows: int

    def can_admit(self) -> bool: ...
    def admit(self, prompts: list[np.ndarray], counts: list[int]) -> Tensor: ...
    def forward(self, tokens: Tensor) -> Tensor: ...
    def remove(self, holes: np.ndarray, fillers: np.ndarray, rows: int) -> None: ...
    def memory(self) -> Tensor | None: ...


class Architecture(Protocol):
    """What the decoder and the trainer need of a kind of model."""

    name: str
    vocabulary_size: int
    max_positions: int
    linear_layers: list[LinearLayer]

    def weights_from(self, state: Weights) -> Weights:
        """From the names in a checkpoint folder (those of ``transformers``)."""

    def state_from(self, weights: Weights) -> Weights:
        """The inverse."""

    def logits(self, weights: Weights, ids: Tensor, real: Tensor, at: Tensor) -> Tensor:
        """Logits [at.sum(), V] of the next tokens at the positions ``at`` [B, T] of right-padded ids [B, T], whose
        tokens are where ``real`` is true; differentiable."""

    def new_cache(self, weights: Weights, slots: int, memory: Tensor | None) -> DecodingCache: ...


class LlamaArchitecture:
    name = "llama"

    def __init__(self, shape: LlamaShape):
        self.shape = shape
        self.vocabulary_size, self.max_positions = shape.vocabulary, shape.max_positions
        self.rotary = Rotary(shape)
        self.linear_layers = linear_layers(shape)

    def weights_from(self, state: Weights) -> Weights:
        return fuse(state, self.shape)

    def state_from(self, weights: Weights) -> Weights:
        return unfuse(weights, self.shape)

    def logits(self, weights: Weights, ids: Tensor, real: Tensor, at: Tensor) -> Tensor:
        return head(forward(ids, weights, self.shape, self.rotary)[at], weights, self.shape)

    def new_cache(self, weights: Weights, slots: int, memory: Tensor | None) -> LlamaCache:
        return LlamaCache(self.shape, self.rotary, weights, slots, memory)


def load_base(folder: Path) -> tuple[Architecture, Parameters]:
    """A model folder as ``save_pretrained`` writes it. Weights are held in single precision."""
    shape = llama_shape(json.loads((folder / "config.json").read_text()))
    if shape is not None:
        architecture: Architecture = LlamaArchitecture(shape)
        return architecture, load_weights(architecture, folder)
    # Imported only here: it takes longer to import than a small model takes to load.
    from .transformers_policy import load_transformers

    architecture, state = load_transformers(folder)
    return architecture, Parameters.pack(architecture.weights_from(state))


def load_weights(architecture: Architecture, folder: Path) -> Parameters:
    """From one model.safetensors, or from the shards that an index beside them lists."""
    index = folder / "model.safetensors.index.json"
    files = {"model.safetensors"}
    if index.exists():
        files = set(json.loads(index.read_text())["weight_map"].values())
    state: Weights = {}
    for file in sorted(files):
        state |= load_file(folder / file)
    return Parameters.pack(architecture.weights_from(state))
