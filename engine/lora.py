"""Low-rank adapters by PEFT's convention: beside a linear layer's weight W, which stays as it is, A [rank, in] and
B [out, rank] are trained, and the layer computes with W + alpha / rank * B A.

Training merges first and then computes as ever: one function gives the weights for training and for sampling, so both
see the same model, and no architecture needs code of its own. A pass takes the time that training all parameters
takes; gradient, optimiser state and checkpoints have the adapter's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .errors import ApiError

# Our default, as SkyRL's. Divided by the rank, so that a learning rate suits adapters of any rank about equally well.
ALPHA = 32
PREFIX = "base_model.model."


class LinearLayer(NamedTuple):
    """A linear layer that an adapter can stand beside.

    ``module`` is its name in ``transformers``, ``part`` is "attn", "mlp" or "unembed". ``weight`` names the weight that
    the architecture computes with; layers that it has fused share one, in the order of its rows. ``tied_to`` is the
    weight that an unembedding without one of its own uses; with an adapter it gets one. ``transposed``: [in, out].
    """

    module: str
    part: str
    weight: str
    inputs: int
    outputs: int
    tied_to: str | None = None
    transposed: bool = False


@dataclass(frozen=True)
class Lora:
    """Which adapter: two of the same fit into each other."""

    rank: int
    train_attn: bool = True
    train_mlp: bool = True
    train_unembed: bool = True

    def layers(self, layers: Sequence[LinearLayer]) -> list[LinearLayer]:
        return [layer for layer in layers if getattr(self, f"train_{layer.part}")]

    def __str__(self) -> str:
        parts = [name.removeprefix("train_") for name, chosen in asdict(self).items() if chosen is True]
        return f"LoRA of rank {self.rank} ({', '.join(parts)})"


def describe(lora: Lora | None) -> dict[str, Any]:
    """As the protocol says it of models, runs and checkpoints; all parameters: ``is_lora`` is false."""
    if lora is None:
        return {"is_lora": False}
    chosen = asdict(lora)
    return {"is_lora": True, "lora_rank": chosen.pop("rank")} | chosen


def described(meta: dict[str, Any]) -> Lora | None:
    """The inverse of `describe`."""
    if not meta["is_lora"]:
        return None
    return Lora(meta["lora_rank"], meta["train_attn"], meta["train_mlp"], meta["train_unembed"])


def check_fits(saved: Lora | None, model: Lora | None, path: str, value: str) -> None:
    """@throws ApiError 400 where a checkpoint is not of the model's kind."""
    if saved != model:
        there, here = saved or "all parameters", model or "all parameters"
        raise ApiError(
            400, f"{path}: the checkpoint is of {there}, the model trains {here}: create a model like the checkpoint, "
            "or let load_weights create it (session_id)", path=path, value=value,
        )  # fmt: skip


class Adapter:
    """An adapter's place in a model. Its matrices, by the names of PEFT's files, are passed in."""

    def __init__(self, lora: Lora, layers: Sequence[LinearLayer], base: dict[str, Tensor]):
        self.lora, self._layers, self._base = lora, lora.layers(layers), base
        self._others = [layer.module for layer in layers if layer not in self._layers]
        self._scale = ALPHA / lora.rank
        self._by_weight: dict[str, list[LinearLayer]] = {}
        for layer in self._layers:
            self._by_weight.setdefault(layer.weight, []).append(layer)

    def fresh(self, seed: int) -> dict[str, Tensor]:
        """A uniform as PEFT's (Kaiming with a = sqrt 5), B zero: merged it is exactly the base."""
        generator = torch.Generator().manual_seed(seed)
        matrices = {}
        for layer in self._layers:
            a, b = _names(layer)
            bound = 1 / math.sqrt(layer.inputs)
            matrices[a] = torch.empty(self.lora.rank, layer.inputs).uniform_(-bound, bound, generator=generator)
            matrices[b] = torch.zeros(layer.outputs, self.lora.rank)
        return matrices

    def merge(self, matrices: dict[str, Tensor]) -> dict[str, Tensor]:
        """The model's weights with the adapter in them; differentiable. All others are the base's own."""
        weights = dict(self._base)
        for name, layers in self._by_weight.items():
            base = self._base[layers[0].tied_to or name]
            products = [_product(layer, *(matrices[m] for m in _names(layer))) for layer in layers]
            delta = products[0] if len(products) == 1 else torch.cat(products)
            weights[name] = torch.add(base, delta, alpha=self._scale)
        return weights

    def check(self, matrices: dict[str, Tensor]) -> dict[str, Tensor]:
        """In this adapter's order. @throws ApiError 400 for matrices that are not of this model's layers."""
        expected = {}
        for layer in self._layers:
            a, b = _names(layer)
            expected[a], expected[b] = (self.lora.rank, layer.inputs), (layer.outputs, self.lora.rank)
        found = {name: tuple(matrix.shape) for name, matrix in matrices.items()}
        odd = sorted(name for name in expected | found if expected.get(name) != found.get(name))
        if odd:
            raise ApiError(
                400, f"adapter_model.safetensors does not fit this model: {odd[0]} is {found.get(odd[0], 'missing')}, "
                f"expected {expected.get(odd[0], 'no such layer')} ({len(odd)} such matrices)",
            )  # fmt: skip
        return {name: matrices[name] for name in expected}

    def peft_config(self, base_model: str) -> dict[str, Any]:
        """What adapter_config.json says. ``base_model``: where the base is."""
        short = {module.rpartition(".")[2] for module in self._modules()}
        # A short name stands for every layer that ends with it.
        ambiguous = any(module.rpartition(".")[2] in short for module in self._others)
        return {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_model,
            "r": self.lora.rank,
            "lora_alpha": ALPHA,
            "lora_dropout": 0.0,
            "bias": "none",
            "use_rslora": False,
            "fan_in_fan_out": any(layer.transposed for layer in self._layers),
            "target_modules": self._modules() if ambiguous else sorted(short),
            "inference_mode": True,
        }

    def _modules(self) -> list[str]:
        return [layer.module for layer in self._layers]


def _names(layer: LinearLayer) -> tuple[str, str]:
    return f"{PREFIX}{layer.module}.lora_A.weight", f"{PREFIX}{layer.module}.lora_B.weight"


def _product(layer: LinearLayer, a: Tensor, b: Tensor) -> Tensor:
    return a.T @ b.T if layer.transposed else b @ a
