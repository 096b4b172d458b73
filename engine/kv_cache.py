"""The key-value cache of one batch of sequences that join and leave between decode steps.

Layout: sequences are aligned at their *ends*. All of them write the column ``end`` at the same step, so a step writes
one slice and reads one window ``[end - longest, end]``; what lies before a sequence's start is masked. Rows are kept
dense: a leaving sequence's row is filled by the last one. When ``end`` reaches the right edge, the window moves back to
the middle, or, when it is longer than half of the width, the width doubles. So source and target of a move never
overlap, and the memory follows the sequences that were really seen, not the longest that were allowed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .llama import LlamaShape, Rotary, Weights, decode, forward, head
from .scripted import scripted

FIRST_ROWS = 32
FIRST_WIDTH = 128
PREFILL_TOKENS = 8192
REMEMBERED_PREFIXES = 128

_decode = scripted(decode)


@dataclass
class Prefix:
    """A computed prompt: keys and values [layers, 2, kv_heads, length, d], logits [V] after its last token."""

    kv: Tensor
    logits: Tensor


class LlamaCache:
    """Decoding state of up to ``slots`` sequences under one set of weights. Used under ``torch.inference_mode``."""

    def __init__(self, shape: LlamaShape, rotary: Rotary, weights: Weights, slots: int, memory: Tensor | None = None):
        self.shape, self.rotary, self.weights, self.slots = shape, rotary, weights, slots
        self.rows = 0
        self._end = 0
        self._kv = torch.zeros(0) if memory is None else memory
        self._start = np.zeros(slots, np.int64)
        self._prefixes: OrderedDict[bytes, Prefix] = OrderedDict()

    def can_admit(self) -> bool:
        return self.rows < self.slots

    def memory(self) -> Tensor:
        """The storage, for the cache of another version of the same model to use once this one is empty."""
        return self._kv

    def admit(self, prompts: list[np.ndarray], counts: list[int]) -> Tensor:
        """Adds ``counts[i]`` rows that continue ``prompts[i]``; gives their next-token logits [sum(counts), V].

        Equal prompts are computed once.
        """
        prefixes = self._compute(prompts)
        self._reserve(self.rows + sum(counts), max(map(len, prompts)))
        for prompt, count, prefix in zip(prompts, counts, prefixes, strict=True):
            rows = slice(self.rows, self.rows + count)
            self._kv[:, :, rows, :, self._end - len(prompt) : self._end] = prefix.kv[:, :, None]
            self._start[rows] = self._end - len(prompt)
            self.rows += count
        logits = torch.stack([prefix.logits for prefix in prefixes])
        return logits.repeat_interleave(torch.tensor(counts), 0)

    def forward(self, tokens: Tensor) -> Tensor:
        """One step: appends tokens [rows] to their sequences and gives the next logits [rows, V]."""
        shape, rows, weights = self.shape, self.rows, self.weights
        if self._end == self._kv.shape[4]:
            self._make_room()
        start = self._start[:rows]
        logits = _decode(
            tokens, weights, shape, self.rotary.cos, self.rotary.sin, self._kv[:, :, :rows], torch.from_numpy(start),
            int(start.min()), self._end,
        )  # fmt: skip
        self._end += 1
        return logits

    def remove(self, holes: np.ndarray, fillers: np.ndarray, rows: int) -> None:
        """Keeps ``rows`` rows: row ``fillers[i]`` moves to ``holes[i]``; whatever stands behind is forgotten."""
        if holes.size:
            first = int(self._start[fillers].min())
            window = self._kv[:, :, :, :, first : self._end]
            window[:, :, torch.from_numpy(holes)] = window[:, :, torch.from_numpy(fillers)]
            self._start[holes] = self._start[fillers]
        self.rows = rows

    def _compute(self, prompts: list[np.ndarray]) -> list[Prefix]:
        names = [prompt.tobytes() for prompt in prompts]
        missing = {name: prompt for name, prompt in zip(names, prompts, strict=True) if name not in self._prefixes}
        for batch in _batches(sorted(missing.values(), key=len)):
            self._prefill(batch)
        found = [self._prefixes[name] for name in names]
        for name in names:
            self._prefixes.move_to_end(name)
        while len(self._prefixes) > REMEMBERED_PREFIXES:
            self._prefixes.popitem(last=False)
        return found

    def _prefill(self, prompts: list[np.ndarray]) -> None:
        shape = self.shape
        ids = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.from_numpy(prompt)
        kv = torch.empty(shape.layers, 2, len(prompts), shape.kv_heads, ids.shape[1], shape.head_size)
        x = forward(ids, self.weights, shape, self.rotary, kv)
        last = torch.tensor([len(prompt) - 1 for prompt in prompts])
        logits = head(x[torch.arange(len(prompts)), last], self.weights, shape)
        for row, prompt in enumerate(prompts):
            self._prefixes[prompt.tobytes()] = Prefix(kv[:, :, row, :, : len(prompt)], logits[row])

    def _make_room(self) -> None:
        width = self._kv.shape[4]
        if 2 * (self._end - int(self._start[: self.rows].min())) <= width:
            self._move_window(self._kv, width // 2)
        else:
            self._grow(self._kv.shape[2], 2 * width)

    def _reserve(self, rows: int, prompt_length: int) -> None:
        """Makes place for ``rows`` rows in all, and for a prompt left of ``end``. Grows only, so this is rare."""
        old_rows, old_width = (
            (self._kv.shape[2], self._kv.shape[4]) if self._kv.ndim == 6 else (FIRST_ROWS, FIRST_WIDTH)
        )
        if self.rows == 0:
            self._end = old_width // 2
        new_rows, new_width = old_rows, old_width
        while new_rows < rows:
            new_rows *= 2
        while self._end < prompt_length and new_width < 2 * prompt_length:
            new_width *= 2
        if self._kv.ndim != 6 or (new_rows, new_width) != (old_rows, old_width):
            self._grow(new_rows, new_width)

    def _grow(self, rows: int, width: int) -> None:
        shape = self.shape
        # Zeros, since masked columns are multiplied by zero, and zero times a stray NaN would be NaN. From numpy, whose
        # zeros take no memory until something is written there.
        size = (shape.layers, 2, min(rows, max(self.slots, FIRST_ROWS)), shape.kv_heads, width, shape.head_size)
        kv = torch.from_numpy(np.zeros(size, np.float32))
        if not self.rows:
            self._end = width // 2
        else:
            # A window longer than half of the width stays where it is when only rows are added.
            self._move_window(kv, self._end if width == self._kv.shape[4] else width // 2)
        self._kv = kv

    def _move_window(self, target: Tensor, end: int) -> None:
        rows = self.rows
        length = self._end - int(self._start[:rows].min())
        target[:, :, :rows, :, end - length : end] = self._kv[:, :, :rows, :, self._end - length : self._end]
        self._start[:rows] += end - self._end
        self._end = end


def _batches(prompts: list[np.ndarray]) -> list[list[np.ndarray]]:
    """Cuts prompts sorted by length into batches of bounded padded size."""
    batches: list[list[np.ndarray]] = []
    for prompt in prompts:
        if batches and (len(batches[-1]) + 1) * len(prompt) <= PREFILL_TOKENS:
            batches[-1].append(prompt)
        else:
            batches.append([prompt])
    return batches
