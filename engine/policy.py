"""A policy is an architecture (stateless) and one flat vector of parameters that the named weights are views of.

The flat vector makes the optimiser, gradient clipping, copying and publishing a handful of operations whatever the
number of layers is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from .kv_cache import LlamaCache
from .llama import Rotary, Weights, forward, fuse, head, llama_shape, unfuse
from .transformers_cache import TransformersCache


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


class Architecture(Protocol):
    """What the decoder and the trainer need of a kind of model."""

    name: str
    vocabulary_size: int
    max_positions: int

    def weights_from(self, state: Weights) -> Weights:
        """From the names in a checkpoint folder (those of ``transformers``)."""

    def state_from(self, weights: Weights) -> Weights:
        """The inverse."""

    def target_logprobs(self, weights: Weights, ids: Tensor, targets: Tensor, real: Tensor) -> Tensor:
        """Log-probabilities [real.sum()] of targets [B, T] given right-padded ids [B, T]; differentiable."""

    def new_cache(self, weights: Weights, slots: int, memory: Tensor | None) -> LlamaCache | TransformersCache: ...


class LlamaArchitecture:
    name = "llama"

    def __init__(self, config: Any, rotary_module: Any):
        shape = llama_shape(config)
        assert shape is not None
        self.shape = shape
        self.vocabulary_size, self.max_positions = shape.vocabulary, shape.max_positions
        self.rotary = Rotary(rotary_module.inv_freq, rotary_module.attention_scaling, shape.max_positions)

    def weights_from(self, state: Weights) -> Weights:
        return fuse(state, self.shape)

    def state_from(self, weights: Weights) -> Weights:
        return unfuse(weights, self.shape)

    def target_logprobs(self, weights: Weights, ids: Tensor, targets: Tensor, real: Tensor) -> Tensor:
        x = forward(ids, weights, self.shape, self.rotary)
        return -F.cross_entropy(head(x[real], weights, self.shape), targets[real], reduction="none")

    def new_cache(self, weights: Weights, slots: int, memory: Tensor | None) -> LlamaCache:
        return LlamaCache(self.shape, self.rotary, weights, slots, memory)


class TransformersArchitecture:
    """Any other causal language model, computed by ``transformers`` itself: slower, same behaviour."""

    def __init__(self, module: torch.nn.Module):
        self.module = module.float().eval()
        self.name = module.config.model_type
        self.vocabulary_size = module.config.vocab_size
        self.max_positions = module.config.max_position_embeddings
        self._shared = {name for name, _ in module.named_parameters()}

    def weights_from(self, state: Weights) -> Weights:
        return {name: state[name].detach().float() for name in self._shared}

    def state_from(self, weights: Weights) -> Weights:
        return {name: w.detach().contiguous() for name, w in weights.items()}

    def target_logprobs(self, weights: Weights, ids: Tensor, targets: Tensor, real: Tensor) -> Tensor:
        mask = real.cummax(1).values if not real.all() else None
        inputs = {"input_ids": ids, "use_cache": False} | ({} if mask is None else {"attention_mask": mask.long()})
        logits = torch.func.functional_call(self.module, weights, (), inputs).logits
        return -F.cross_entropy(logits[real], targets[real], reduction="none")

    def new_cache(self, weights: Weights, slots: int, memory: Tensor | None) -> TransformersCache:
        return TransformersCache(self.module, weights, slots)


def load_base(folder: Path) -> tuple[Architecture, Parameters]:
    """A model folder as ``save_pretrained`` writes it. Weights are held in single precision."""
    config = AutoConfig.from_pretrained(folder)
    module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if llama_shape(config) is not None:
        architecture: Architecture = LlamaArchitecture(config, module.model.rotary_emb)
    else:
        architecture = TransformersArchitecture(module)
    return architecture, Parameters.pack(architecture.weights_from(module.state_dict()))


def load_weights(architecture: Architecture, folder: Path) -> Parameters:
    return Parameters.pack(architecture.weights_from(load_file(folder / "model.safetensors")))
