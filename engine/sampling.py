"""Drawing tokens from logits with noise that is a pure function of (seed, prompt, sample, position).

Because the noise of a token does not depend on what else is in the batch, a request gives the same tokens alone and
among hundreds of others, up to rounding of the logits themselves.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .scripted import scripted

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1
UNIT_BITS = 32


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64, on arrays of uint64 (products wrap)."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_A
    x = (x ^ (x >> np.uint64(27))) * _MIX_B
    return x ^ (x >> np.uint64(31))


def noise_keys(seed: int, prompt: int, samples: np.ndarray) -> np.ndarray:
    """Keys of the samples of one prompt, uint64, one each. ``seed`` may be any integer; its low 64 bits count."""
    key = _mix(np.array([seed & _MASK], np.uint64) + _GOLDEN)
    key = _mix(key ^ (np.array([prompt], np.uint64) * _GOLDEN))
    return _mix(key + (samples.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def uniforms(keys: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """One float64 in [0, 1) per row, with ``UNIT_BITS`` random bits, so that ``u * total`` never rounds up to total."""
    bits = _mix(keys + (positions.astype(np.uint64) + np.uint64(1)) * _GOLDEN) >> np.uint64(64 - UNIT_BITS)
    return bits.astype(np.float64) * 2.0**-UNIT_BITS


def draw(
    logits: Tensor, u: np.ndarray, temperature: np.ndarray, top_p: np.ndarray, top_k: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Tokens [B] and their log-probabilities [B] from logits [B, V], by inversion of the cumulative distribution.

    The log-probabilities are the policy's own: log-softmax of the raw logits, whatever temperature and filters chose
    the token. Temperature 0 takes the most likely token. ``top_k`` <= 0 and ``top_p`` 1 switch the filters off.
    """
    filtered = np.flatnonzero((top_p < 1) | (top_k > 0))
    if not filtered.size and (temperature == 1).all():
        return _draw_plainly(logits, torch.from_numpy(u))
    logprobs = torch.log_softmax(logits, -1)
    greedy = temperature == 0
    divisor = np.where(greedy, 1.0, temperature).astype(np.float32)
    probs = torch.softmax(logits / torch.from_numpy(divisor)[:, None], -1)
    if filtered.size:
        rows = torch.from_numpy(filtered)
        probs[rows] = _filter(probs[rows], torch.from_numpy(top_p[filtered]), torch.from_numpy(top_k[filtered]))
    tokens = invert(probs, torch.from_numpy(u))
    if greedy.any():
        tokens = torch.where(torch.from_numpy(greedy)[:, None], logits.argmax(-1, keepdim=True), tokens)
    return tokens[:, 0], logprobs.gather(-1, tokens)[:, 0]


def invert(probs: Tensor, u: Tensor) -> Tensor:
    """Tokens [B, 1] by inversion of the cumulative distribution at ``u`` [B]."""
    cumulative = probs.cumsum(-1, dtype=torch.float64)
    target = u[:, None] * cumulative[:, -1:]
    # The first token whose cumulative probability exceeds the target: never one of probability zero.
    return torch.searchsorted(cumulative, target, right=True).clamp_(max=probs.shape[1] - 1)


def draw_plainly(logits: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """`draw` at temperature 1 without filters."""
    logprobs = torch.log_softmax(logits, -1)
    tokens = invert(logprobs.exp(), u)
    return tokens[:, 0], logprobs.gather(-1, tokens)[:, 0]


_draw_plainly = scripted(draw_plainly)


def _filter(probs: Tensor, top_p: Tensor, top_k: Tensor) -> Tensor:
    """Keeps the ``top_k`` likeliest tokens, of them the fewest whose mass reaches ``top_p``; not normalised again."""
    ordered, index = probs.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(probs.shape[1])
    keep = (rank < top_k[:, None]) | (top_k[:, None] <= 0)
    ordered = ordered * keep
    mass_before = ordered.cumsum(-1) - ordered
    ordered = ordered * ((mass_before < top_p[:, None] * ordered.sum(-1, keepdim=True)) | (rank == 0))
    return torch.zeros_like(probs).scatter(-1, index, ordered)
