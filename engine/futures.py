"""Promises of the training protocol: made at once, fetched by long polling, forgotten some time after they are done."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import ApiError

KEPT_SECONDS = 900.0
POLL_SECONDS = 20.0


@dataclass
class Future:
    """``digest`` tells a repeat of the same request from another one; ``cancel`` stops the work, where it can be."""

    request_id: str
    digest: str = ""
    cancel: Callable[[], None] | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    answer: dict[str, Any] | None = None
    finished_at: float | None = None


class Futures:
    def __init__(self, kept_seconds: float = KEPT_SECONDS, clock: Callable[[], float] = time.monotonic):
        self._kept_seconds, self._clock = kept_seconds, clock
        self._futures: dict[str, Future] = {}

    def create(self, request_id: str | None = None, digest: str = "") -> Future:
        self._forget_old()
        future = Future(request_id or f"req-{uuid.uuid4().hex}", digest)
        self._futures[future.request_id] = future
        return future

    def find(self, request_id: str) -> Future | None:
        return self._futures.get(request_id)

    def cancel(self, request_id: str) -> None:
        """Stops what is still being worked on; does nothing for anything else."""
        future = self._futures.get(request_id)
        if future is not None and future.answer is None and future.cancel is not None:
            future.cancel()

    def finish(self, future: Future, result: dict[str, Any] | None, error: Exception | None) -> None:
        if error is None:
            future.answer = result
        elif isinstance(error, ApiError):
            future.answer = {"error": error.message, "category": "user"}
        else:
            future.answer = {"error": f"{type(error).__name__}: {error}", "category": "server"}
        future.finished_at = self._clock()
        future.done.set()

    async def retrieve(self, request_id: str, wait_seconds: float = POLL_SECONDS) -> dict[str, Any]:
        """The answer, or ``try_again`` after a while. @throws ApiError 410 for one that is unknown or forgotten."""
        self._forget_old()
        future = self._futures.get(request_id)
        if future is None:
            raise ApiError(
                410,
                f"Request {request_id!r} is unknown: its result expired, or the engine was restarted. "
                "Send the original request again, or restore the model from its last checkpoint.",
                path="request_id",
                value=request_id,
            )
        waiting = asyncio.ensure_future(future.done.wait())
        await asyncio.wait({waiting}, timeout=wait_seconds)
        waiting.cancel()
        if future.answer is None:
            return {"type": "try_again", "request_id": request_id, "queue_state": "active"}
        return future.answer

    def _forget_old(self) -> None:
        """Futures finish roughly in the order they were made, so the oldest are in front."""
        limit = self._clock() - self._kept_seconds
        old = [f.request_id for f in self._futures.values() if f.finished_at is not None and f.finished_at < limit]
        for request_id in old:
            del self._futures[request_id]
