"""A Llama-shaped decoder in plain torch: one forward for training and prefill, one for decoding against a cache.

Small models spend their time in per-operation overhead and in reading the cache, so the projections are fused
(q|k|v and gate|up) and nothing is computed twice. Weights are views of one flat vector (`policy.FlatParameters`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .lora import LinearLayer

Weights = dict[str, Tensor]


class LlamaShape(NamedTuple):
    vocabulary: int
    hidden: int
    mlp: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    max_positions: int
    rope_theta: float
    eps: float
    tied: bool


def llama_shape(config: dict[str, Any]) -> LlamaShape | None:
    """The shape from a config.json, or None for a model that differs in any way from what this forward computes."""
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
    plain = (
        config.get("model_type") in ("llama", "mistral")
        and config.get("hidden_act", "silu") == "silu"
        and not config.get("attention_bias")
        and not config.get("mlp_bias")
        and config.get("sliding_window") is None
        and config.get("rope_scaling") is None
        and rope.get("rope_type", "default") == "default"
    )
    if not plain:
        return None
    return LlamaShape(
        vocabulary=config["vocab_size"],
        hidden=config["hidden_size"],
        mlp=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        kv_heads=config.get("num_key_value_heads") or config["num_attention_heads"],
        head_size=config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"],
        max_positions=config["max_position_embeddings"],
        rope_theta=rope["rope_theta"],
        eps=config.get("rms_norm_eps", 1e-6),
        tied=config.get("tie_word_embeddings", False),
    )


def fuse(state: Weights, shape: LlamaShape) -> Weights:
    """From the names of ``transformers`` to ours, with fused projections, in single precision."""
    weights = {"embed": state["model.embed_tokens.weight"], "norm": state["model.norm.weight"]}
    if not shape.tied:
        weights["head"] = state["lm_head.weight"]
    for i in range(shape.layers):
        source = f"model.layers.{i}."
        attention = [state[f"{source}self_attn.{p}_proj.weight"] for p in "qkv"]
        gate_up = [state[f"{source}mlp.{p}_proj.weight"] for p in ("gate", "up")]
        weights[f"{i}.norm1"] = state[f"{source}input_layernorm.weight"]
        weights[f"{i}.qkv"] = torch.cat(attention)
        weights[f"{i}.out"] = state[f"{source}self_attn.o_proj.weight"]
        weights[f"{i}.norm2"] = state[f"{source}post_attention_layernorm.weight"]
        weights[f"{i}.gate_up"] = torch.cat(gate_up)
        weights[f"{i}.down"] = state[f"{source}mlp.down_proj.weight"]
    return {name: w.detach().float() for name, w in weights.items()}


def unfuse(weights: Weights, shape: LlamaShape) -> Weights:
    """The inverse of `fuse`: what a checkpoint folder stores, so that ``transformers`` opens it."""
    state = {"model.embed_tokens.weight": weights["embed"], "model.norm.weight": weights["norm"]}
    if not shape.tied:
        state["lm_head.weight"] = weights["head"]
    kv = shape.kv_heads * shape.head_size
    for i in range(shape.layers):
        target = f"model.layers.{i}."
        for name, part in zip("qkv", weights[f"{i}.qkv"].split([shape.heads * shape.head_size, kv, kv]), strict=True):
            state[f"{target}self_attn.{name}_proj.weight"] = part
        for name, part in zip(("gate", "up"), weights[f"{i}.gate_up"].chunk(2), strict=True):
            state[f"{target}mlp.{name}_proj.weight"] = part
        state[f"{target}input_layernorm.weight"] = weights[f"{i}.norm1"]
        state[f"{target}self_attn.o_proj.weight"] = weights[f"{i}.out"]
        state[f"{target}post_attention_layernorm.weight"] = weights[f"{i}.norm2"]
        state[f"{target}mlp.down_proj.weight"] = weights[f"{i}.down"]
    return {name: w.detach().contiguous() for name, w in state.items()}


def linear_layers(shape: LlamaShape) -> list[LinearLayer]:
    """In the order of the fused rows."""
    hidden, mlp = shape.hidden, shape.mlp
    queries, kv = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    layers = []
    for i in range(shape.layers):
        attention, block = f"model.layers.{i}.self_attn", f"model.layers.{i}.mlp"
        for name, size in (("q", queries), ("k", kv), ("v", kv)):
            layers.append(LinearLayer(f"{attention}.{name}_proj", "attn", f"{i}.qkv", hidden, size))
        layers.append(LinearLayer(f"{attention}.o_proj", "attn", f"{i}.out", queries, hidden))
        layers += [LinearLayer(f"{block}.{name}_proj", "mlp", f"{i}.gate_up", hidden, mlp) for name in ("gate", "up")]
        layers.append(LinearLayer(f"{block}.down_proj", "mlp", f"{i}.down", mlp, hidden))
    tied_to = "embed" if shape.tied else None
    return [*layers, LinearLayer("lm_head", "unembed", "head", hidden, shape.vocabulary, tied_to)]


class Rotary:
    """Tables [positions, 1, head_size] such that a rotation is ``x * cos + swap(x) * sin`` (sign folded into sin)."""

    def __init__(self, shape: LlamaShape):
        exponents = torch.arange(0, shape.head_size, 2, dtype=torch.int64).float() / shape.head_size
        angles = torch.arange(shape.max_positions).float()[:, None] / shape.rope_theta**exponents
        self.cos = torch.cat([angles.cos(), angles.cos()], -1)[:, None]
        self.sin = torch.cat([-angles.sin(), angles.sin()], -1)[:, None]


def project(
    x: Tensor, weights: Weights, layer: int, shape: LlamaShape, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """x [..., hidden] -> rotated q [..., heads, d], rotated k and v [..., kv_heads, d]."""
    normed = F.rms_norm(x, [shape.hidden], weights[f"{layer}.norm1"], shape.eps)
    qkv = F.linear(normed, weights[f"{layer}.qkv"]).unflatten(-1, [-1, shape.head_size])
    turned, v = qkv.split([shape.heads + shape.kv_heads, shape.kv_heads], -2)
    half = shape.head_size // 2
    swapped = torch.cat((turned[..., half:], turned[..., :half]), -1)
    q, k = torch.addcmul(turned * cos, swapped, sin).split([shape.heads, shape.kv_heads], -2)
    return q, k, v


def finish_layer(x: Tensor, attended: Tensor, weights: Weights, layer: int, shape: LlamaShape) -> Tensor:
    """Output projection and MLP, both residual. ``attended`` is [..., heads * d]."""
    x = x + F.linear(attended, weights[f"{layer}.out"])
    normed = F.rms_norm(x, [shape.hidden], weights[f"{layer}.norm2"], shape.eps)
    gate, up = F.linear(normed, weights[f"{layer}.gate_up"]).chunk(2, -1)
    return x + F.linear(F.silu(gate) * up, weights[f"{layer}.down"])


def head(x: Tensor, weights: Weights, shape: LlamaShape) -> Tensor:
    """A tied model has no head of its own, unless an adapter stands beside it."""
    normed = F.rms_norm(x, [shape.hidden], weights["norm"], shape.eps)
    return F.linear(normed, weights["head" if "head" in weights else "embed"])


def decode(
    tokens: Tensor, weights: Weights, shape: LlamaShape, cos: Tensor, sin: Tensor, kv: Tensor, start: Tensor,
    first: int, end: int,
) -> Tensor:  # fmt: skip
    """One token more for every sequence: tokens [rows] -> logits [rows, V].

    Keys and values are written to column ``end`` of kv [layers, 2, rows, kv_heads, columns, d]; sequence i began in
    column ``start[i]``, the earliest of all in ``first``.
    """
    rows = tokens.shape[0]
    cos, sin = cos[end - start], sin[end - start]
    # Added to the scores [rows, 1, 1, window]: columns before a row's own start do not count.
    before = torch.arange(first, end + 1) < start[:, None]
    mask = torch.zeros(before.shape).masked_fill_(before, -float("inf"))[:, None, None]
    scale = shape.head_size**-0.5
    x = F.embedding(tokens, weights["embed"])
    for layer in range(shape.layers):
        q, k, v = project(x, weights, layer, shape, cos, sin)
        kv[layer, 0, :, :, end].copy_(k)
        kv[layer, 1, :, :, end].copy_(v)
        keys, values = kv[layer, :, :, :, first : end + 1].flatten(1, 2).unbind(0)
        # Two batched products beat fused attention for single queries. The queries that share a key-value head stand
        # in for a sequence of queries, so nothing of the cache is copied.
        grouped = q.reshape(rows * shape.kv_heads, -1, shape.head_size)
        scores = torch.bmm(grouped, keys.transpose(1, 2)).unflatten(0, [rows, shape.kv_heads])
        shares = torch.softmax(torch.add(mask, scores, alpha=scale), -1)
        attended = torch.bmm(shares.flatten(0, 1), values)
        x = finish_layer(x, attended.view(rows, -1), weights, layer, shape)
    return head(x, weights, shape)


def forward(ids: Tensor, weights: Weights, shape: LlamaShape, rotary: Rotary, kv: Tensor | None = None) -> Tensor:
    """Causal forward over right-padded ids [B, T] -> hidden states [B, T, hidden]; differentiable.

    Padding on the right needs no mask: no real position attends to it. With ``kv`` [layers, 2, B, kv_heads, T, d] the
    keys and values are written there.
    """
    length = ids.shape[1]
    cos, sin = rotary.cos[:length], rotary.sin[:length]
    x = F.embedding(ids, weights["embed"])
    for layer in range(shape.layers):
        q, k, v = (t.transpose(1, 2) for t in project(x, weights, layer, shape, cos, sin))
        if kv is not None:
            kv[layer, 0], kv[layer, 1] = k, v
        if shape.heads != shape.kv_heads:
            k, v = (t.repeat_interleave(shape.heads // shape.kv_heads, 1) for t in (k, v))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = finish_layer(x, attended.transpose(1, 2).flatten(2), weights, layer, shape)
    return x
