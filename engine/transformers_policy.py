"""Any causal language model that is not Llama-shaped, computed by ``transformers``: slower, same behaviour.

Decoding is a left-padded static batch: new sequences join only when it is empty, finished ones leave at once.
"""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.pytorch_utils import Conv1D

from .llama import Weights
from .lora import LinearLayer


def load_transformers(folder: Path) -> tuple[TransformersArchitecture, Weights]:
    module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return TransformersArchitecture(module), module.state_dict()


class TransformersArchitecture:
    """Stateless, like every architecture: the module's own parameters are replaced at each call."""

    def __init__(self, module: torch.nn.Module):
        self._module, self._of_thread = module.float().eval(), threading.local()
        self.name = module.config.model_type
        self.vocabulary_size = module.config.vocab_size
        self.max_positions = module.config.max_position_embeddings
        # In order, which optimiser checkpoints rely on; a tied head is named once.
        self._names = [name for name, _ in module.named_parameters()]
        self.linear_layers = linear_layers(module)

    @property
    def module(self) -> torch.nn.Module:
        """The calling thread's own: `functional_call` puts the weights into the module for as long as it runs."""
        if not hasattr(self._of_thread, "module"):
            shared = {id(p): p for p in self._module.parameters()}
            self._of_thread.module = copy.deepcopy(self._module, shared)
        return self._of_thread.module

    def weights_from(self, state: Weights) -> Weights:
        return {name: state[name].detach().float() for name in self._names}

    def state_from(self, weights: Weights) -> Weights:
        return {name: w.detach().contiguous() for name, w in weights.items()}

    def logits(self, weights: Weights, ids: Tensor, real: Tensor, at: Tensor) -> Tensor:
        inputs = {"input_ids": ids, "attention_mask": real.long(), "use_cache": False}
        return call(self.module, weights, self._tied(weights), inputs).logits[at]

    def _tied(self, weights: Weights) -> bool:
        """Whether tied weights follow the one that is named first: where an adapter gave none its own."""
        return weights.keys() == set(self._names)

    def new_cache(self, weights: Weights, slots: int, memory: Tensor | None) -> TransformersCache:
        return TransformersCache(self.module, weights, self._tied(weights), slots)


def linear_layers(module: torch.nn.Module) -> list[LinearLayer]:
    """By their names: whatever stands in an attention, the output layer, and all others, which are the MLPs'.

    Experts that are kept in one three-dimensional parameter are no linear layers.
    """
    first_names = {id(parameter): name for name, parameter in module.named_parameters()}
    output = module.get_output_embeddings()
    layers = []
    for name, layer in module.named_modules():
        if not isinstance(layer, torch.nn.Linear | Conv1D):
            continue
        in_attention = any(hint in component.lower() for component in name.split(".") for hint in ("attn", "attention"))
        part = "unembed" if layer is output else "attn" if in_attention else "mlp"
        first, transposed = first_names[id(layer.weight)], isinstance(layer, Conv1D)
        tied_to = None if first == f"{name}.weight" else first
        inputs, outputs = layer.weight.shape if transposed else layer.weight.shape[::-1]
        layers.append(LinearLayer(name, part, f"{name}.weight", inputs, outputs, tied_to, transposed))
    return layers


def call(module: torch.nn.Module, weights: Weights, tied: bool, inputs: dict[str, Any]) -> Any:
    """The module computes with these weights."""
    return torch.func.functional_call(module, weights, (), inputs, tie_weights=tied)


class TransformersCache:
    def __init__(self, module: torch.nn.Module, weights: Weights, tied: bool, slots: int):
        self._module, self._weights, self._tied, self.slots = module, weights, tied, slots
        self.rows = 0
        self._mask = torch.zeros(0, 0, dtype=torch.int64)
        self._past = DynamicCache(config=module.config)

    def can_admit(self) -> bool:
        return self.rows == 0

    def memory(self) -> None:
        return None

    def admit(self, prompts: list[np.ndarray], counts: list[int]) -> Tensor:
        width = max(map(len, prompts))
        ids = torch.zeros(len(prompts), width, dtype=torch.int64)
        self._mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.from_numpy(prompt)
            self._mask[row, width - len(prompt) :] = 1
        self._past = DynamicCache(config=self._module.config)
        logits = self._run(ids)
        order = torch.arange(len(prompts)).repeat_interleave(torch.tensor(counts))
        self._select(order)
        return logits[order]

    def forward(self, tokens: Tensor) -> Tensor:
        self._mask = torch.cat((self._mask, torch.ones(self.rows, 1, dtype=torch.int64)), 1)
        return self._run(tokens[:, None])

    def remove(self, holes: np.ndarray, fillers: np.ndarray, rows: int) -> None:
        order = np.arange(self.rows)
        order[holes] = fillers
        self._select(torch.from_numpy(order[:rows]))

    def _run(self, ids: Tensor) -> Tensor:
        positions = (self._mask.cumsum(1) - 1).clamp_(min=0)[:, -ids.shape[1] :]
        inputs = {"input_ids": ids, "attention_mask": self._mask, "position_ids": positions}
        inputs |= {"past_key_values": self._past, "use_cache": True}
        return call(self._module, self._weights, self._tied, inputs).logits[:, -1]

    def _select(self, order: Tensor) -> None:
        self.rows = len(order)
        self._mask = self._mask[order]
        if self.rows:
            self._past.batch_select_indices(order)
