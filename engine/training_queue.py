"""Training jobs in order, one at a time; the pieces of the running job go to whichever lane asks next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from .models import Models

OnDone = Callable[[Any, Exception | None], None]


@dataclass
class TrainJob:
    """``run`` gives a result, or a generator that yields lists of pieces which may run at the same time, is sent the
    list of their outcomes (or thrown the first error), and returns the result. ``on_done`` is called on a lane."""

    run: Callable[[Models], Any]
    on_done: OnDone


@dataclass
class _Pieces:
    """What the running job waits for."""

    waiting: deque[tuple[int, Callable[[], Any]]]
    outcomes: list[Any]
    left: int
    error: Exception | None = None


class TrainingQueue:
    """Shared by the lanes. ``wake`` is called whenever there may be something for another lane to take."""

    def __init__(self, wake: Callable[[], None]):
        self._wake = wake
        self._lock = threading.Lock()
        self._jobs: deque[TrainJob] = deque()
        self._started = False
        self._generator: Generator[Any, Any, Any] | None = None
        self._pieces: _Pieces | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def submit(self, job: TrainJob) -> None:
        with self._lock:
            self._jobs.append(job)
        self._wake()

    def has_work(self) -> bool:
        """Whether a lane could do something now; the running job's last pieces may be in other hands."""
        with self._lock:
            return bool(self._pieces and self._pieces.waiting) if self._started else bool(self._jobs)

    def work(self, models: Models) -> None:
        """Starts the next job, or runs one piece of the running one. Does nothing if another lane was faster."""
        with self._lock:
            pieces, start = self._pieces, bool(self._jobs) and not self._started
            taken = pieces.waiting.popleft() if pieces and pieces.waiting else None
            self._started |= start
        if start:
            self._start(models)
        elif pieces is not None and taken is not None:
            self._run(pieces, *taken)

    def _start(self, models: Models) -> None:
        try:
            result = self._jobs[0].run(models)
        except Exception as error:
            self._finish(None, error)
            return
        if isinstance(result, Generator):
            self._generator = result
            self._advance(next)
        else:
            self._finish(result, None)

    def _run(self, pieces: _Pieces, index: int, piece: Callable[[], Any]) -> None:
        outcome, error = None, None
        try:
            outcome = piece()
        except Exception as raised:
            error = raised
        with self._lock:
            pieces.outcomes[index] = outcome
            pieces.left -= 1
            if error is not None:
                pieces.error = pieces.error or error
                pieces.left -= len(pieces.waiting)
                pieces.waiting.clear()
            last = pieces.left == 0
        if not last:
            return
        first_error = pieces.error
        if first_error is not None:
            self._advance(lambda generator: generator.throw(first_error))
        else:
            self._advance(lambda generator: generator.send(pieces.outcomes))

    def _advance(self, resume: Callable[[Generator[Any, Any, Any]], Any]) -> None:
        """Only one lane at a time is here: the one that started the job, or that ended its last piece."""
        assert self._generator is not None
        try:
            pieces = resume(self._generator)
        except StopIteration as end:
            self._finish(end.value, None)
        except Exception as error:
            self._finish(None, error)
        else:
            with self._lock:
                self._pieces = _Pieces(deque(enumerate(pieces)), [None] * len(pieces), len(pieces))
            self._wake()

    def _finish(self, result: Any, error: Exception | None) -> None:
        with self._lock:
            job = self._jobs.popleft()
            self._started, self._generator, self._pieces = False, None, None
        job.on_done(result, error)
        self._wake()
