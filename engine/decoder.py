"""Continuous batching: requests are split into rows that join and leave a running batch between decode steps.

One batch per policy version; versions with work take turns, one step each. Waiting requests are admitted in rotation,
a few rows at a time, so a request of a thousand rows does not hold up one of a single row.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from .policy import Architecture, Parameters
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
    """``samples[p * n + s]`` is sample s of prompt p. ``on_done`` is called once, on the compute thread."""

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
    samples: list[Sample | None] = field(default_factory=list)
    left: int = 0
    admitted: int = 0
    prompts_computed: int = 0
    abandoned_tokens: int = 0

    def __post_init__(self) -> None:
        self.left = len(self.prompts) * self.n
        self.samples = [None] * self.left

    def prompt_tokens(self) -> int:
        """Of the prompts computed so far, each counted once whatever n is."""
        return sum(len(prompt) for prompt in self.prompts[: self.prompts_computed])

    def completion_tokens(self) -> int:
        return self.abandoned_tokens + sum(len(sample.tokens) for sample in self.samples if sample is not None)


@dataclass
class DecoderCounters:
    tokens: int = 0
    steps: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0


class Batch:
    """The running rows of one policy version. Arrays are indexed by row and kept dense, like the cache's rows."""

    def __init__(self, architecture: Architecture, parameters: Parameters, vocabulary: Vocabulary, slots: int, memory):
        self.cache = architecture.new_cache(parameters.weights, slots, memory)
        self.waiting: deque[SampleJob] = deque()
        self._vocabulary, self._slots = vocabulary, slots
        self._owner: list[tuple[SampleJob, int]] = []
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

    def jobs(self) -> set[SampleJob]:
        return {job for job, _ in self._owner} | set(self.waiting)

    def step(self, counters: DecoderCounters) -> list[SampleJob]:
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

    def cancel(self, job: SampleJob) -> None:
        if job in self.waiting:
            self.waiting.remove(job)
        leaving = np.array([owner is job for owner, _ in self._owner], bool)
        if leaving.any():
            job.abandoned_tokens += int(self._count[: self.rows][leaving].sum())
            kept = torch.from_numpy(self._drop(leaving))
            self._logits = self._logits[kept] if self.rows else None

    def _admit(self, counters: DecoderCounters) -> None:
        prompts: list[np.ndarray] = []
        counts: list[int] = []
        row = self.rows
        if not self.rows:
            self._stop_index.clear()
        while self.waiting and row < self._slots:
            job = self.waiting.popleft()
            turn = min(ROWS_PER_TURN, self._slots - row, len(job.samples) - job.admitted)
            while turn > 0:
                prompt, sample = divmod(job.admitted, job.n)
                count = min(turn, job.n - sample)
                new = slice(row, row + count)
                self._key[new] = noise_keys(job.seed, prompt, np.arange(sample, sample + count))
                self._count[new], self._limit[new] = 0, job.max_tokens
                self._temperature[new], self._top_p[new], self._top_k[new] = job.temperature, job.top_p, job.top_k
                self._stop[new] = self._stop_row(job.stops)
                self._owner += [(job, index) for index in range(job.admitted, job.admitted + count)]
                prompts.append(job.prompts[prompt])
                counts.append(count)
                if prompt >= job.prompts_computed:
                    job.prompts_computed = prompt + 1
                    counters.prompt_tokens += len(job.prompts[prompt])
                job.admitted += count
                row += count
                turn -= count
            if job.admitted < len(job.samples):
                self.waiting.append(job)
        logits = self.cache.admit(prompts, counts)
        self._logits = logits if self._logits is None else torch.cat((self._logits, logits))

    def _stop_row(self, stops: Stops) -> int:
        if stops not in self._stop_index:
            table = self._vocabulary.stop_table(stops)
            at = self._stop_index[stops] = len(self._stop_index)
            self._stop_tables = np.concatenate((self._stop_tables[:at], table[None]))
        return self._stop_index[stops]

    def _matched(self, row: int) -> str | None:
        job, _ = self._owner[row]
        return self._vocabulary.matched_string(self._tokens[row, : self._count[row]].tolist(), job.stops)

    def _finish(self, rows: np.ndarray, verdict: np.ndarray) -> list[SampleJob]:
        finished = []
        for row in rows.tolist():
            job, index = self._owner[row]
            tokens = self._tokens[row, : self._count[row]].copy()
            last = int(tokens[-1])
            stopped = verdict[row] == ENDS
            reason: str | int | None = None
            if stopped and last not in self._vocabulary.eos:
                reason = last if last in job.stops.tokens else self._matched(row)
            logprobs = self._logprobs[row, : len(tokens)].copy()
            job.samples[index] = Sample(tokens, logprobs, "stop" if stopped else "length", reason)
            job.left -= 1
            if job.left == 0:
                finished.append(job)
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
    """Owned by the compute thread. ``load`` gives a policy version by name; it raises `ApiError` for an unknown one."""

    def __init__(
        self, architecture: Architecture, vocabulary: Vocabulary, slots: int, load: Callable[[str], Parameters]
    ):
        self._architecture, self.vocabulary, self._slots, self._load = architecture, vocabulary, slots, load
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._memory: list[torch.Tensor] = []
        self.counters = DecoderCounters()

    def submit(self, job: SampleJob) -> None:
        try:
            batch = self._batches.get(job.version) or self._new_batch(job.version)
        except Exception as error:
            job.on_done(job, error)
            return
        batch.waiting.append(job)

    def cancel(self, job: SampleJob) -> None:
        """Stops a job nobody waits for. Unless it had ended, ``on_done`` is called with what was computed so far."""
        if job.left and (batch := self._batches.get(job.version)) and job in batch.jobs():
            batch.cancel(job)
            job.left = 0
            job.on_done(job, None)

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
            for job in batch.jobs():
                job.on_done(job, error)
            return
        for job in finished:
            job.on_done(job, None)

    def _new_batch(self, version: str) -> Batch:
        parameters = self._load(version)
        idle = [name for name, batch in self._batches.items() if not batch.busy()]
        for name in idle[: max(0, len(idle) - IDLE_BATCHES_KEPT)]:
            memory = self._batches.pop(name).cache.memory()
            if memory is not None and not self._memory:
                self._memory.append(memory)
        memory = self._memory.pop() if self._memory else None
        batch = Batch(self._architecture, parameters, self.vocabulary, self._slots, memory)
        self._batches[version] = batch
        return batch
