"""Losses, gradient accumulation and AdamW, on one flat vector of parameters.

Losses are summed over tokens; normalising is the client's business. Tensors follow the shift convention of the
protocol: ``ids = full[:-1]``, ``targets = full[1:]``, and every other array is aligned with the targets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import ApiError
from .lora import Adapter
from .policy import Architecture, Parameters, Weights

# Small enough that activations stay in the processor's cache, and that a waiting decode step waits some 50 ms at most.
MICRO_BATCH_TOKENS = 1024


@dataclass
class Datum:
    """One sequence; arrays are of equal length. Which of the optional ones are used depends on the loss."""

    ids: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None = None
    logprobs: np.ndarray | None = None
    advantages: np.ndarray | None = None


@dataclass(frozen=True)
class Loss:
    """``cross_entropy``, ``importance_sampling``, or ``ppo`` and ``cispo`` with bounds of the ratio."""

    name: str
    clip_low: float = 0.8
    clip_high: float = 1.2


# What a micro-batch gives: its loss, and the log-probabilities of each of its sequences.
Outcome = tuple[float, list[np.ndarray]]
Piece = Callable[[], Outcome]


@dataclass(frozen=True)
class Adam:
    learning_rate: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    grad_clip_norm: float


@dataclass
class TrainState:
    """A live model: what is trained of it (all parameters, or the matrices of an adapter), the gradient accumulated so
    far, AdamW's moments and step count."""

    architecture: Architecture
    parameters: Parameters
    adapter: Adapter | None = None
    gradient: Tensor = field(init=False)
    moment1: Tensor = field(init=False)
    moment2: Tensor = field(init=False)
    steps: int = 0
    has_gradient: bool = False
    broken: str | None = None

    def __post_init__(self) -> None:
        flat = self.parameters.flat
        self.gradient, self.moment1, self.moment2 = (torch.zeros_like(flat) for _ in range(3))
        self._leaves = {name: w.detach().requires_grad_() for name, w in self.parameters.weights.items()}

    def weights(self) -> Weights:
        """Of the whole model as it is now."""
        with torch.no_grad():
            return self._whole(self.parameters.weights)

    def _whole(self, trained: Weights) -> Weights:
        return trained if self.adapter is None else self.adapter.merge(trained)

    def forward_backward(
        self, data: list[Datum], loss: Loss, backward: bool = True
    ) -> Generator[list[Piece], list[Outcome], tuple[float, list[np.ndarray]]]:
        """Yields its micro-batches, which may run at the same time in any order, and wants their outcomes sent back.

        Returns (loss sum, log-probabilities per datum). A failure drops the whole accumulated gradient and makes the
        next `step` fail, because a client may have sent that step before it could know.
        """
        chunks = micro_batches(data)
        gradient = OrderedSum(self.gradient)

        def piece(order: int, chunk: list[int]) -> Piece:
            def run() -> Outcome:
                value, parts, part_gradient = self._micro_batch([data[i] for i in chunk], loss, backward)
                if part_gradient is not None:
                    gradient.add(order, part_gradient)
                return value, parts

            return run

        try:
            outcomes = yield [piece(order, chunk) for order, chunk in enumerate(chunks)]
            total = 0.0
            logprobs: list[np.ndarray] = [np.zeros(0, np.float32)] * len(data)
            for chunk, (value, parts) in zip(chunks, outcomes, strict=True):
                total += value
                for index, part in zip(chunk, parts, strict=True):
                    logprobs[index] = part
            if not np.isfinite(total) or not torch.isfinite(self.gradient).all():
                raise ApiError(
                    400, f"the loss or its gradient is not finite (loss:sum is {total}); no gradient was kept"
                )
        except Exception as error:
            if backward:
                self.gradient.zero_()
                self.has_gradient, self.broken = False, str(error)
            raise
        self.has_gradient |= backward
        return total, logprobs

    def step(self, adam: Adam) -> dict[str, float]:
        """One AdamW step (decoupled weight decay) on the accumulated gradient, which is then dropped."""
        if self.broken is not None:
            reason, self.broken = self.broken, None
            raise ApiError(400, f"no step was made because an earlier forward_backward failed: {reason}")
        if not self.has_gradient:
            raise ApiError(400, "optim_step has no gradient to apply: send forward_backward first")
        with torch.no_grad():
            gradient, flat = self.gradient, self.parameters.flat
            norm = float(gradient.norm())
            if 0 < adam.grad_clip_norm < norm:
                gradient.mul_(adam.grad_clip_norm / norm)
            self.steps += 1
            self.moment1.lerp_(gradient, 1 - adam.beta1)
            self.moment2.mul_(adam.beta2).addcmul_(gradient, gradient, value=1 - adam.beta2)
            flat.mul_(1 - adam.learning_rate * adam.weight_decay)
            scale = (self.moment2 / (1 - adam.beta2**self.steps)).sqrt_().add_(adam.eps)
            flat.addcdiv_(self.moment1, scale, value=-adam.learning_rate / (1 - adam.beta1**self.steps))
            gradient.zero_()
        self.has_gradient = False
        return {"grad_norm:mean": norm, "optimizer_steps:max": float(self.steps)}

    def _micro_batch(
        self, data: list[Datum], loss: Loss, backward: bool
    ) -> tuple[float, list[np.ndarray], Tensor | None]:
        real = _padded([np.ones(len(d.ids), bool) for d in data])
        ids, targets = _padded([d.ids for d in data]), _padded([d.targets for d in data])
        with torch.set_grad_enabled(backward):
            logits = self.architecture.logits(self._whole(self._leaves), ids, real, real)
            logprobs = -F.cross_entropy(logits, targets[real], reduction="none")
            value = loss_sum(loss, logprobs, data)
        gradient = None
        if backward:
            parts = torch.autograd.grad(value, list(self._leaves.values()), allow_unused=True, materialize_grads=True)
            gradient = torch.cat([part.reshape(-1) for part in parts])
        lengths = np.cumsum([len(d.ids) for d in data])[:-1]
        return float(value.detach()), np.split(logprobs.detach().numpy(), lengths), gradient


class OrderedSum:
    """Adds vectors in their given order, whatever order they come in, so that rounding does not depend on the lanes."""

    def __init__(self, total: Tensor):
        self._total, self._next, self._early = total, 0, dict[int, Tensor]()
        self._lock = threading.Lock()

    def add(self, order: int, vector: Tensor) -> None:
        with self._lock:
            self._early[order] = vector
            while (ready := self._early.pop(self._next, None)) is not None:
                self._total.add_(ready)
                self._next += 1


def loss_sum(loss: Loss, logprobs: Tensor, data: list[Datum]) -> Tensor:
    """The loss summed over all targets of the data, whose log-probabilities are concatenated in ``logprobs``."""
    if loss.name == "cross_entropy":
        return -(logprobs * _joined([d.weights for d in data])).sum()
    old, advantages = _joined([d.logprobs for d in data]), _joined([d.advantages for d in data])
    # A prompt position has advantage 0 and no sampler log-probability, so its ratio means nothing and may overflow.
    counted = advantages != 0
    new, advantages = logprobs[counted], advantages[counted]
    ratio = (new - old[counted]).exp()
    clipped = ratio.clamp(loss.clip_low, loss.clip_high)
    if loss.name == "cispo":  # arXiv 2506.13585: the clipped ratio is a weight, without a gradient of its own
        gain = clipped.detach() * advantages * new
    elif loss.name == "ppo":
        gain = torch.minimum(ratio * advantages, clipped * advantages)
    else:
        gain = ratio * advantages
    return -gain.sum()


def micro_batches(data: list[Datum]) -> list[list[int]]:
    """Indices of the data, longest first, in groups whose padded size stays near the token budget."""
    order = sorted(range(len(data)), key=lambda i: -len(data[i].ids))
    groups: list[list[int]] = []
    for index in order:
        if groups and (len(groups[-1]) + 1) * len(data[groups[-1][0]].ids) <= MICRO_BATCH_TOKENS:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _padded(arrays: list[np.ndarray]) -> Tensor:
    out = np.zeros((len(arrays), max(map(len, arrays))), arrays[0].dtype)
    for row, array in enumerate(arrays):
        out[row, : len(array)] = array
    return torch.from_numpy(out)


def _joined(arrays: list[np.ndarray | None]) -> Tensor:
    return torch.from_numpy(np.concatenate([a for a in arrays if a is not None]))
