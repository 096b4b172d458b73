"""The one thread that owns torch. It shares its time between decode steps and training, half and half when both wait.

Everything reaches it through a queue and leaves through callbacks, so no lock guards a tensor, and no second pool of
OpenMP threads ever competes with the first.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from .decoder import Decoder, SampleJob
from .models import Models

log = logging.getLogger("astroflow.engine")

OnDone = Callable[[Any, Exception | None], None]


@dataclass
class TrainJob:
    """``run`` gives a result, or is a generator that yields between pieces of work and returns the result."""

    run: Callable[[Models], Any]
    on_done: OnDone


class Compute(threading.Thread):
    """``build`` loads the model on the thread itself, for a pool of OpenMP threads belongs to the thread using it."""

    def __init__(self, build: Callable[[], tuple[Models, Decoder]], threads: int):
        super().__init__(name="compute", daemon=True)
        self._build, self._threads = build, threads
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._training: deque[TrainJob] = deque()
        self._piece: Iterator[None] | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stopping = False
        self.models: Models
        self.decoder: Decoder
        self.seconds = {"decode": 0.0, "train": 0.0}

    # Called from other threads

    def wait_until_ready(self) -> None:
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def sample(self, job: SampleJob) -> None:
        self._inbox.put(lambda: self.decoder.submit(job))

    def cancel(self, job: SampleJob) -> None:
        self._inbox.put(lambda: self.decoder.cancel(job))

    def train(self, job: TrainJob) -> None:
        self._inbox.put(lambda: self._training.append(job))

    def stop(self) -> None:
        self._inbox.put(None)

    def training_jobs(self) -> int:
        return len(self._training)

    # The thread

    def run(self) -> None:
        torch.set_num_threads(self._threads)
        try:
            self.models, self.decoder = self._build()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        # Time used by each kind of work; the one behind goes next, and one that had nothing to do gains no credit.
        used = {"decode": 0.0, "train": 0.0}
        while not self._stopping:
            self._receive(wait=not self.decoder.busy() and not self._training)
            work = {"decode": self.decoder.busy(), "train": bool(self._training)}
            if not any(work.values()):
                continue
            kind = min((k for k in work if work[k]), key=lambda k: used[k])
            began = time.perf_counter()
            if kind == "decode":
                self.decoder.step()
            else:
                self._train_piece()
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
                log.exception("a message to the compute thread failed")

    def _train_piece(self) -> None:
        """One micro-batch, or one whole job that does not come in pieces."""
        job = self._training[0]
        try:
            if self._piece is None:
                result = job.run(self.models)
                if not isinstance(result, Iterator):
                    return self._finish_training(result, None)
                self._piece = result
            next(self._piece)
        except StopIteration as end:
            self._finish_training(end.value, None)
        except Exception as error:
            self._finish_training(None, error)

    def _finish_training(self, result: Any, error: Exception | None) -> None:
        self._piece = None
        self._training.popleft().on_done(result, error)
