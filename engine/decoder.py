"""Continuous batching: requests are split into rows that join and leave a running batch between decode steps.

One batch per policy version; versions with work take turns, one step each. Waiting requests are admitted in rotation,
a few rows at a time, so a request of a thousand rows does not hold up one of a single row.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import torch

from .policy import Architecture, Weights
from .prompt_scores import PromptScores
from .sampling import draw, noise_keys, uniforms
from .vocabulary import ENDS, LOOK_AT_TEXT, Stops, Vocabulary

ROWS_PER_TURN = 16
IDLE_BATCHES_KEPT = 1


@dataclass
class Sample:
    """One completion. ``stop_reason``: the stop string or token that ended it; None at end-of-text or at the limit."""

    tokens: np.ndarray
    logprobs: np.ndarray
    finish_reason: str
    stop_reason: str | int | None


@dataclass(eq=False)
class SampleJob:
    """``samples[p * n + s]`` is sample s of prompt p. Its rows are decoded in parts, each by one lane. ``scores``, if
    wanted, are of the first prompt.

    ``on_done`` is called once, on the lane whose part ended last, with the first error of any part.
    """

    version: str
    prompts: list[np.ndarray]
    n: int
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    stops: Stops
    seed: int
    on_done: Callable[[SampleJob, Exception | None], None]
    scores: PromptScores | None = None
    samples: list[Sample | None] = field(init=False)
    parts: list[Part] = field(init=False, default_factory=list)
    prompts_computed: set[int] = field(init=False, default_factory=set)
    _parts_left: int = field(init=False, default=0)
    _error: Exception | None = field(init=False, default=None)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.samples = [None] * (len(self.prompts) * self.n)

    def split(self, sizes: list[int]) -> list[Part]:
        """Parts of contiguous rows, so that the samples of a prompt stay together where they can."""
        ends = list(accumulate(sizes))
        self.parts = [Part(self, end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self._parts_left = len(self.parts)
        return self.parts

    def part_ended(self, error: Exception | None) -> None:
        with self._lock:
            self._parts_left -= 1
            self._error = self._error or error
            last = self._parts_left == 0
        if last:
            self.on_done(self, self._error)

    def prompt_tokens(self) -> int:
        """Of the prompts computed so far, each counted once whatever n is and however many lanes computed it."""
        return sum(len(self.prompts[prompt]) for prompt in self.prompts_computed)

    def completion_tokens(self) -> int:
        abandoned = sum(part.abandoned_tokens for part in self.parts)
        return abandoned + sum(len(sample.tokens) for sample in self.samples if sample is not None)


@dataclass(eq=False)
class Part:
    """Rows ``admitted`` (the next one to start) to ``end`` of a job. Only one lane touches it."""

    job: SampleJob
    admitted: int
    end: int
    size: int = field(init=False)
    left: int = field(init=False)
    abandoned_tokens: int = 0

    def __post_init__(self) -> None:
        self.size = self.left = self.end - self.admitted


@dataclass
class DecoderCounters:
    tokens: int = 0
    steps: int = 0
    prompt_tokens: int = 0


class Batch:
    """The running rows of one policy version. Arrays are indexed by row and kept dense, like the cache's rows."""

    def __init__(self, architecture: Architecture, weights: Weights, vocabulary: Vocabulary, slots: int, memory):
        self.cache = architecture.new_cache(weights, slots, memory)
        self._architecture, self._weights = architecture, weights
        self.waiting: deque[Part] = deque()
        self._vocabulary, self._slots = vocabulary, slots
        self._owner: list[tuple[Part, int]] = []
        self._logits: torch.Tensor | None = None
        self._stop_index: dict[Stops, int] = {}
        self._stop_tables = np.zeros((0, vocabulary.size), np.uint8)
        self._key = np.zeros(slots, np.uint64)
        self._count = np.zeros(slots, np.int64)
        self._limit = np.zeros(slots, np.int64)
        self._stop = np.zeros(slots, np.int64)
        self._temperature = np.zeros(slots)
        self._top_p = np.zeros(slots)
        self._top_k = np.zeros(slots, np.int64)
        self._tokens = np.zeros((slots, architecture.max_positions), np.int64)
        self._logprobs = np.zeros((slots, architecture.max_positions), np.float32)
        self._per_row = (
            self._key, self._count, self._limit, self._stop, self._temperature, self._top_p, self._top_k,
            self._tokens, self._logprobs,
        )  # fmt: skip

    @property
    def rows(self) -> int:
        return self.cache.rows

    def busy(self) -> bool:
        return bool(self.rows or self.waiting)

    def parts(self) -> set[Part]:
        return {part for part, _ in self._owner} | set(self.waiting)

    def step(self, counters: DecoderCounters) -> list[Part]:
        """Admits, draws one token for every row, lets finished rows go, computes the next logits."""
        if self.waiting and self.cache.can_admit():
            self._admit(counters)
        rows = self.rows
        noise = uniforms(self._key[:rows], self._count[:rows])
        drawn, logprobs = draw(self._logits, noise, self._temperature[:rows], self._top_p[:rows], self._top_k[:rows])
        token = drawn.numpy()
        if not torch.isfinite(logprobs).all():
            raise FloatingPointError("the model's logits are not finite: its weights have diverged")
        at = np.arange(rows), self._count[:rows]
        self._tokens[at], self._logprobs[at] = token, logprobs.numpy()
        self._count[:rows] += 1
        counters.tokens += rows
        counters.steps += 1
        verdict = self._stop_tables[self._stop[:rows], token]
        for row in np.flatnonzero(verdict == LOOK_AT_TEXT):
            if self._matched(row) is not None:
                verdict[row] = ENDS
        leaving = (verdict == ENDS) | (self._count[:rows] >= self._limit[:rows])
        finished = self._finish(np.flatnonzero(leaving), verdict) if leaving.any() else []
        if leaving.any():
            drawn = drawn[torch.from_numpy(self._drop(leaving))]
        self._logits = self.cache.forward(drawn) if self.rows else None
        return finished

    def cancel(self, part: Part) -> None:
        if part in self.waiting:
            self.waiting.remove(part)
        leaving = np.array([owner is part for owner, _ in self._owner], bool)
        if leaving.any():
            part.abandoned_tokens += int(self._count[: self.rows][leaving].sum())
            kept = torch.from_numpy(self._drop(leaving))
            self._logits = self._logits[kept] if self.rows else None

    def _admit(self, counters: DecoderCounters) -> None:
        prompts: list[np.ndarray] = []
        counts: list[int] = []
        row = self.rows
        if not self.rows:
            self._stop_index.clear()
        while self.waiting and row < self._slots:
            part = self.waiting.popleft()
            job = part.job
            if part.admitted == 0 and job.scores is not None:
                job.scores.compute(self._architecture, self._weights, job.prompts[0])
            turn = min(ROWS_PER_TURN, self._slots - row, part.end - part.admitted)
            while turn > 0:
                prompt, sample = divmod(part.admitted, job.n)
                count = min(turn, job.n - sample)
                new = slice(row, row + count)
                self._key[new] = noise_keys(job.seed, prompt, np.arange(sample, sample + count))
                self._count[new], self._limit[new] = 0, job.max_tokens
                self._temperature[new], self._top_p[new], self._top_k[new] = job.temperature, job.top_p, job.top_k
                self._stop[new] = self._stop_row(job.stops)
                self._owner += [(part, index) for index in range(part.admitted, part.admitted + count)]
                prompts.append(job.prompts[prompt])
                counts.append(count)
                if prompt not in job.prompts_computed:
                    job.prompts_computed.add(prompt)
                    counters.prompt_tokens += len(job.prompts[prompt])
                part.admitted += count
                row += count
                turn -= count
            if part.admitted < part.end:
                self.waiting.append(part)
        logits = self.cache.admit(prompts, counts)
        self._logits = logits if self._logits is None else torch.cat((self._logits, logits))

    def _stop_row(self, stops: Stops) -> int:
        if stops not in self._stop_index:
            table = self._vocabulary.stop_table(stops)
            at = self._stop_index[stops] = len(self._stop_index)
            self._stop_tables = np.concatenate((self._stop_tables[:at], table[None]))
        return self._stop_index[stops]

    def _matched(self, row: int) -> str | None:
        part, _ = self._owner[row]
        return self._vocabulary.matched_string(self._tokens[row, : self._count[row]].tolist(), part.job.stops)

    def _finish(self, rows: np.ndarray, verdict: np.ndarray) -> list[Part]:
        finished = []
        for row in rows.tolist():
            part, index = self._owner[row]
            tokens = self._tokens[row, : self._count[row]].copy()
            last = int(tokens[-1])
            stopped = verdict[row] == ENDS
            reason: str | int | None = None
            if stopped and last not in self._vocabulary.eos:
                reason = last if last in part.job.stops.tokens else self._matched(row)
            logprobs = self._logprobs[row, : len(tokens)].copy()
            part.job.samples[index] = Sample(tokens, logprobs, "stop" if stopped else "length", reason)
            part.left -= 1
            if part.left == 0:
                finished.append(part)
        return finished

    def _drop(self, leaving: np.ndarray) -> np.ndarray:
        """Removes rows and fills their places from the end. Gives, for each kept row, the row it was before."""
        rows = self.rows - int(leaving.sum())
        holes = np.flatnonzero(leaving[:rows])
        fillers = rows + np.flatnonzero(~leaving[rows:])
        for array in self._per_row:
            array[holes] = array[fillers]
        for hole, filler in zip(holes.tolist(), fillers.tolist(), strict=True):
            self._owner[hole] = self._owner[filler]
        del self._owner[rows:]
        self.cache.remove(holes, fillers, rows)
        before = np.arange(rows)
        before[holes] = fillers
        return before


class Decoder:
    """The batches of one lane. ``load`` gives a policy version by name; it raises `ApiError` for an unknown one."""

    def __init__(self, architecture: Architecture, vocabulary: Vocabulary, slots: int, load: Callable[[str], Weights]):
        self._architecture, self.vocabulary, self._slots, self._load = architecture, vocabulary, slots, load
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._memory: list[torch.Tensor] = []
        self.counters = DecoderCounters()
        self.rows_ended = 0

    def submit(self, part: Part) -> None:
        version = part.job.version
        try:
            batch = self._batches.get(version) or self._new_batch(version)
        except Exception as error:
            self._end(part, error)
            return
        batch.waiting.append(part)

    @torch.inference_mode()
    def cancel(self, job: SampleJob) -> None:
        """Stops what is left here of a job that nobody waits for."""
        batch = self._batches.get(job.version)
        for part in [part for part in batch.parts() if part.job is job] if batch else []:
            batch.cancel(part)
            self._end(part, None)

    def busy(self) -> bool:
        return any(batch.busy() for batch in self._batches.values())

    def running(self) -> int:
        return sum(batch.rows for batch in list(self._batches.values()))

    def waiting(self) -> int:
        return sum(len(batch.waiting) for batch in list(self._batches.values()))

    @torch.inference_mode()
    def step(self) -> None:
        """One step of the version that has waited longest."""
        name, batch = next((name, batch) for name, batch in self._batches.items() if batch.busy())
        self._batches.move_to_end(name)
        try:
            finished = batch.step(self.counters)
        except Exception as error:
            del self._batches[name]
            for part in batch.parts():
                self._end(part, error)
            return
        for part in finished:
            self._end(part, None)

    def _end(self, part: Part, error: Exception | None) -> None:
        part.left = 0
        self.rows_ended += part.size
        part.job.part_ended(error)

    def _new_batch(self, version: str) -> Batch:
        weights = self._load(version)
        idle = [name for name, batch in self._batches.items() if not batch.busy()]
        for name in idle[: max(0, len(idle) - IDLE_BATCHES_KEPT)]:
            memory = self._batches.pop(name).cache.memory()
            if memory is not None and not self._memory:
                self._memory.append(memory)
        memory = self._memory.pop() if self._memory else None
        batch = Batch(self._architecture, weights, self.vocabulary, self._slots, memory)
        self._batches[version] = batch
        return batch
