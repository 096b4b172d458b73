"""From the training protocol's bodies to arrays: model inputs, data and losses, with errors that name the field."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import FieldError
from .fields import Fields, numbers, token_ids
from .lora import LinearLayer, Lora
from .service import LARGEST_SEED, Service
from .trainer import Adam, Datum, Loss

PREFIX = "/api/v1"
LARGEST_SEQ = 2**31 - 1
MAX_DATA = 4096
LOSS_INPUTS = {
    "cross_entropy": ("weights",),
    "importance_sampling": ("logprobs", "advantages"),
    "ppo": ("logprobs", "advantages"),
    "cispo": ("logprobs", "advantages"),
}


def read_model_input(value: Any, path: str, vocabulary: int, longest: int) -> np.ndarray:
    """``{chunks: [{type: "encoded_text", tokens}]}`` as one array of token ids."""
    fields = Fields(value, path)
    parts = []
    for at, chunk in enumerate(fields.list("chunks", 1024)):
        chunk_fields = Fields(chunk, f"{path}.chunks[{at}]")
        kind = chunk_fields.string("type", "encoded_text")
        if kind != "encoded_text":
            raise FieldError(chunk_fields.path("type"), kind, "must be 'encoded_text': this model reads only text")
        parts.append(token_ids(chunk_fields.any("tokens"), chunk_fields.path("tokens"), vocabulary))
        chunk_fields.done()
    fields.done()
    ids = np.concatenate(parts)
    if len(ids) > longest:
        raise FieldError(path, f"{len(ids)} tokens", f"must have at most {longest} tokens")
    return ids


def read_base(fields: Fields, service: Service) -> str:
    base = fields.string("base_model", service.name)
    if base != service.name:
        raise FieldError(
            fields.path("base_model"), base, f"must be {service.name!r}, the only base model of this engine"
        )
    return base


def read_lora(fields: Fields, layers: Sequence[LinearLayer]) -> tuple[Lora | None, int]:
    """``lora_config``: the adapter and the seed of its beginning, or None where all parameters are to be trained."""
    config = fields.object("lora_config", None)
    if config is None:
        return None, 0
    rank = config.integer("rank", 0, 2**31, 32)
    seed = config.integer("seed", -LARGEST_SEED, LARGEST_SEED, None)
    chosen = {part: config.boolean(part, True) for part in ("train_attn", "train_mlp", "train_unembed")}
    config.done()
    if rank == 0:
        for part, is_chosen in chosen.items():
            if not is_chosen:
                raise FieldError(config.path(part), False, "must be true with rank 0, which trains all parameters")
        return None, 0
    lora = Lora(rank, **chosen)
    adapted = lora.layers(layers)
    if not adapted:
        raise FieldError("lora_config", str(lora), "must choose at least one kind of linear layers that the model has")
    largest = max(min(layer.inputs, layer.outputs) for layer in adapted)
    if rank > largest:
        raise FieldError(config.path("rank"), rank, f"may be at most {largest}, the size of this model's layers")
    return lora, secrets.randbits(63) if seed is None else seed


def read_loss(fields: Fields) -> Loss:
    name = fields.string("loss_fn")
    if name not in LOSS_INPUTS:
        raise FieldError(fields.path("loss_fn"), name, f"must be one of {', '.join(LOSS_INPUTS)}")
    config = fields.object("loss_fn_config", None)
    if config is None:
        return Loss(name)
    loss = Loss(name)
    if name in ("ppo", "cispo"):
        low = config.number("clip_low_threshold", 0, 1, loss.clip_low)
        loss = Loss(name, low, config.number("clip_high_threshold", 1, 1e9, loss.clip_high))
    config.done()
    return loss


def read_data(fields: Fields, loss: Loss, vocabulary: int, longest: int) -> list[Datum]:
    """``data``: sequences aligned after the shift, so every array is as long as its ``model_input``.

    Cross-entropy without ``weights`` weighs every target 1.
    """
    return [
        _read_datum(Fields(item, fields.path(f"data[{at}]")), loss, vocabulary, longest)
        for at, item in enumerate(fields.list("data", MAX_DATA))
    ]


def _read_datum(fields: Fields, loss: Loss, vocabulary: int, longest: int) -> Datum:
    ids = read_model_input(fields.any("model_input"), fields.path("model_input"), vocabulary, longest)
    inputs = fields.object("loss_fn_inputs")
    targets = _tensor(inputs, "target_tokens", len(ids), integral=True)
    outside = (targets < 0) | (targets >= vocabulary)
    if outside.any():
        at = int(outside.argmax())
        path = f"{inputs.path('target_tokens')}.data[{at}]"
        raise FieldError(path, int(targets[at]), f"must be a token id from 0 to {vocabulary - 1}")
    if loss.name == "cross_entropy" and not inputs.has("weights"):
        arrays = {"weights": np.ones(len(ids), np.float32)}
    else:
        arrays = {name: _tensor(inputs, name, len(ids), integral=False) for name in LOSS_INPUTS[loss.name]}
    inputs.done()
    fields.done()
    return Datum(ids, targets, **arrays)


def _tensor(inputs: Fields, name: str, length: int, *, integral: bool) -> np.ndarray:
    fields = inputs.object(name)
    path = fields.path("data")
    if fields.has("sparse_crow_indices") or fields.has("sparse_col_indices"):
        raise FieldError(inputs.path(name), "sparse", "must be dense: sparse tensors are not supported by this engine")
    array = numbers(fields.any("data"), path, integral=integral)
    fields.ignore("dtype", "shape")
    fields.done()
    if len(array) != length:
        raise FieldError(path, f"{len(array)} numbers", f"must have {length} numbers, one per token of model_input")
    return array


def read_optimizer(fields: Fields) -> None:
    """``optimizer_config`` names the one optimiser there is, or nothing."""
    config = fields.object("optimizer_config", None)
    if config is not None:
        kind = config.string("type", "adamw")
        if kind != "adamw":
            raise FieldError(config.path("type"), kind, "must be 'adamw', the only optimiser of this engine")
        config.done()


def read_adam(fields: Fields) -> Adam:
    adam = Adam(
        learning_rate=fields.number("learning_rate", 0, 1e3, 1e-4),
        beta1=fields.number("beta1", 0, 0.9999999, 0.9),
        beta2=fields.number("beta2", 0, 0.9999999, 0.95),
        eps=fields.number("eps", 0, 1, 1e-12),
        weight_decay=fields.number("weight_decay", 0, 1e3, 0.0),
        grad_clip_norm=fields.number("grad_clip_norm", 0, 1e9, 0.0),
    )
    fields.done()
    return adam
