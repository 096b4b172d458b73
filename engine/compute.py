"""The lanes, and how work is dealt to them."""

from __future__ import annotations

from .decoder import Decoder, DecoderCounters, SampleJob
from .lane import Lane
from .models import Models
from .training_queue import TrainingQueue, TrainJob
from .vocabulary import Vocabulary

# A step of a few rows costs about as much as one of a single row, so a small request is worth one lane's time only.
SMALLEST_PART = 32


class Compute:
    """``threads`` lanes of one thread each; the ``slots`` rows that are decoded at once are divided over them."""

    def __init__(self, models: Models, vocabulary: Vocabulary, threads: int, slots: int):
        self.models = models
        self._training = TrainingQueue(self._wake)
        self._lanes = [
            Lane(
                i,
                models,
                Decoder(models.architecture, vocabulary, -(-slots // threads), models.version),
                self._training,
            )
            for i in range(threads)
        ]

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        for lane in self._lanes:
            lane.stop()

    def is_alive(self) -> bool:
        return all(lane.is_alive() for lane in self._lanes)

    def sample(self, job: SampleJob) -> None:
        """Deals a job's rows so that lanes are as equally full as they can be. Called by one thread only."""
        rows = len(job.samples)
        lanes = sorted(self._lanes, key=Lane.load)[: max(1, rows // SMALLEST_PART)]
        sizes = deal(rows, [lane.load() for lane in lanes])
        parts = job.split([size for size in sizes if size])
        for lane, part in zip((lane for lane, size in zip(lanes, sizes, strict=True) if size), parts, strict=True):
            lane.sample(part)

    def cancel(self, job: SampleJob) -> None:
        """Unless the job has ended, its ``on_done`` is called with what was computed so far."""
        for lane in self._lanes:
            lane.cancel(job)

    def train(self, job: TrainJob) -> None:
        self._training.submit(job)

    # Sums over the lanes; they count on while these are taken.

    def counters(self) -> DecoderCounters:
        each = [lane.decoder.counters for lane in self._lanes]
        return DecoderCounters(
            sum(c.tokens for c in each), sum(c.steps for c in each), sum(c.prompt_tokens for c in each)
        )

    def seconds(self, kind: str) -> float:
        return sum(lane.seconds[kind] for lane in self._lanes)

    def running(self) -> int:
        return sum(lane.decoder.running() for lane in self._lanes)

    def waiting(self) -> int:
        return sum(lane.decoder.waiting() for lane in self._lanes)

    def training_jobs(self) -> int:
        return len(self._training)

    def _wake(self) -> None:
        for lane in self._lanes:
            lane.wake()


def deal(rows: int, loads: list[int]) -> list[int]:
    """How many of ``rows`` new rows each lane gets, least loaded first: water poured into vessels of these levels."""
    filled = len(loads)
    while filled > 1 and loads[filled - 1] * filled >= rows + sum(loads[:filled]):
        filled -= 1
    level, rest = divmod(rows + sum(loads[:filled]), filled)
    return [level + (i < rest) - load if i < filled else 0 for i, load in enumerate(loads)]
