"""A lane: one thread that computes on one core. It shares its time between decode steps and training, half and half
when both wait.

Work reaches it through a queue and leaves through callbacks, so no lock guards a tensor: lanes share the weights, which
they only read, and the training queue, which deals out pieces that do not touch each other. A thread of torch for each
lane beats one step on all cores: the operators of a small model are too short to be worth dividing, and threads that
wait for each other a hundred times per step stall as soon as another process wants a core.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

import torch

from .decoder import Decoder, Part, SampleJob
from .models import Models
from .training_queue import TrainingQueue

log = logging.getLogger("astroflow.engine")


class Lane(threading.Thread):
    """``_rows_given`` has one writer (who submits), ``decoder.rows_ended`` another (this thread): they need no lock."""

    def __init__(self, index: int, models: Models, decoder: Decoder, training: TrainingQueue):
        super().__init__(name=f"lane-{index}", daemon=True)
        self._models, self.decoder, self._training = models, decoder, training
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stopping = False
        self._rows_given = 0
        self.seconds = {"decode": 0.0, "train": 0.0}

    # Called from other threads

    def load(self) -> int:
        """Rows given to this lane that have not ended."""
        return self._rows_given - self.decoder.rows_ended

    def sample(self, part: Part) -> None:
        self._rows_given += part.size
        self._inbox.put(lambda: self.decoder.submit(part))

    def cancel(self, job: SampleJob) -> None:
        self._inbox.put(lambda: self.decoder.cancel(job))

    def wake(self) -> None:
        self._inbox.put(lambda: None)

    def stop(self) -> None:
        self._inbox.put(None)

    # The thread

    def run(self) -> None:
        torch.set_num_threads(1)
        # Time used by each kind of work; the one behind goes next, and one that had nothing to do gains no credit.
        used = {"decode": 0.0, "train": 0.0}
        while not self._stopping:
            self._receive(wait=not self.decoder.busy() and not self._training.has_work())
            work = {"decode": self.decoder.busy(), "train": self._training.has_work()}
            if not any(work.values()):
                continue
            kind = min((k for k in work if work[k]), key=lambda k: used[k])
            began = time.perf_counter()
            if kind == "decode":
                self.decoder.step()
            else:
                self._training.work(self._models)
            spent = time.perf_counter() - began
            self.seconds[kind] += spent
            if all(work.values()):
                used[kind] += spent
            else:
                used = {"decode": 0.0, "train": 0.0}

    def _receive(self, wait: bool) -> None:
        while True:
            try:
                message = self._inbox.get(block=wait)
            except queue.Empty:
                return
            wait = False
            if message is None:
                self._stopping = True
                return
            try:
                message()
            except Exception:
                log.exception("a message to a lane failed")
