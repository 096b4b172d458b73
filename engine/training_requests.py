"""Order and once-only execution of training requests.

Requests of one model carry a dense ``seq_id`` from 1 and are executed in that order, whatever order they arrive in.
The same ``seq_id`` with the same body is the same request and gets the original ``request_id``; another body is 409.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from .errors import ApiError, model_not_loaded
from .futures import Future
from .models import Models
from .service import Service, train
from .training_queue import TrainJob


@dataclass
class ModelRecord:
    """The order of one model's requests: what has arrived, and what waits for an earlier one."""

    model_id: str
    session_id: str
    next_seq: int = 1
    highest_seq: int = 0
    waiting: dict[int, TrainJob] = field(default_factory=dict)
    received: dict[int, tuple[str, str]] = field(default_factory=dict)


class TrainingRequests:
    """Turns training requests into futures, in order and once each."""

    def __init__(self, service: Service):
        self._service = service
        self._models: dict[str, ModelRecord] = {}
        self._created: dict[tuple[str, int], tuple[str, dict[str, str]]] = {}

    def find(self, model_id: str) -> ModelRecord:
        if model_id not in self._models:
            raise model_not_loaded(model_id)
        return self._models[model_id]

    def create(
        self, session_id: str, model_seq_id: int | None, body: dict[str, Any], run: Callable[[str], Any]
    ) -> dict:
        """A new model, once per (session, ``model_seq_id``)."""
        digest = _digest(body)
        if model_seq_id is not None and (earlier := self._created.get((session_id, model_seq_id))) is not None:
            if earlier[0] != digest:
                raise _reused("model_seq_id", model_seq_id)
            return earlier[1]
        model_id = f"run-{uuid.uuid4().hex[:16]}"
        self._models[model_id] = ModelRecord(model_id, session_id)
        future, job = self._future(run(model_id))
        self._service.compute.train(job)
        created = {"request_id": future.request_id, "model_id": model_id}
        if model_seq_id is not None:
            self._created[session_id, model_seq_id] = (digest, created)
        return created

    def submit(
        self, model_id: str, seq: int | None, kind: str, body: dict[str, Any], run: Callable[[Models], Any]
    ) -> dict[str, str]:
        """Queues one request. Without a ``seq_id`` it follows the highest one seen, and cannot be sent twice safely."""
        model = self.find(model_id)
        digest = _digest({"kind": kind, "body": body})
        if seq is None:
            seq = model.highest_seq + 1
        elif seq in model.received:
            if model.received[seq][0] != digest:
                raise _reused("seq_id", seq)
            return {"request_id": model.received[seq][1], "model_id": model_id}
        future, job = self._future(run)
        model.received[seq] = (digest, future.request_id)
        model.highest_seq = max(model.highest_seq, seq)
        model.waiting[seq] = job
        while (ready := model.waiting.pop(model.next_seq, None)) is not None:
            self._service.compute.train(ready)
            model.next_seq += 1
        return {"request_id": future.request_id, "model_id": model_id}

    def is_repeat(self, model_id: str, seq: int | None) -> bool:
        return seq is not None and seq in self.find(model_id).received

    def unload(self, model_id: str) -> dict[str, str]:
        self.find(model_id)
        future, job = self._future(lambda models: models.unload(model_id))
        self._service.compute.train(job)
        for left in self._models.pop(model_id).waiting.values():
            left.on_done(None, model_not_loaded(model_id))
        return {"request_id": future.request_id, "model_id": model_id}

    def _future(self, run: Callable[[Models], Any]) -> tuple[Future, TrainJob]:
        futures = self._service.futures
        future = futures.create()
        return future, train(self._service, run, lambda result, error: futures.finish(future, result, error))


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _reused(name: str, value: int) -> ApiError:
    return ApiError(409, f"{name}: sequence number {value} was reused for a different request", path=name, value=value)
