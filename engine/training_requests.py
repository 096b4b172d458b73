"""Order and once-only execution of training requests.

Requests of one model carry a dense ``seq_id`` from 1 and are executed in that order, whatever order they arrive in.
The same ``seq_id`` with the same body is the same request and gets the original ``request_id``; another body is 409.
A refused request may be sent again, corrected, under its number, until a later request of its model arrives.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from .errors import ApiError, model_not_loaded
from .futures import Future
from .lora import Lora
from .models import Models
from .service import Service, train
from .sessions import Sessions
from .trainer import Loss
from .training_queue import TrainJob

Run = Callable[[Models], Any]


@dataclass
class ModelRecord:
    """The order of one model's requests: what has arrived, what waits for an earlier one, and what was refused."""

    model_id: str
    session_id: str
    lora: Lora | None
    user_metadata: dict[str, Any] | None = None
    last_request_time: float = field(default_factory=time.time)
    next_seq: int = 1
    highest_seq: int = 0
    waiting: dict[int, TrainJob] = field(default_factory=dict)
    refused: dict[int, TrainJob | None] = field(default_factory=dict)
    received: dict[int, tuple[str, str]] = field(default_factory=dict)


class TrainingRequests:
    """Turns training requests into futures, in order and once each."""

    def __init__(self, service: Service, sessions: Sessions):
        self._service, self._sessions = service, sessions
        self._models: dict[str, ModelRecord] = {}
        self._created: dict[tuple[str, int], tuple[str, dict[str, str]]] = {}

    def find(self, model_id: str) -> ModelRecord:
        if model_id not in self._models:
            raise model_not_loaded(model_id)
        return self._models[model_id]

    def records(self) -> list[ModelRecord]:
        return list(self._models.values())

    def create(
        self,
        session_id: str,
        model_seq_id: int | None,
        lora: Lora | None,
        body: dict[str, Any],
        run: Callable[[str], Run],
    ) -> dict[str, str]:
        """A new model, once per (session, ``model_seq_id``)."""
        digest = body_digest(body)
        if model_seq_id is not None and (earlier := self._created.get((session_id, model_seq_id))) is not None:
            if earlier[0] != digest:
                raise number_reused("model_seq_id", model_seq_id)
            return earlier[1]
        model_id = self._sessions.name_model(session_id, model_seq_id)
        self._models[model_id] = ModelRecord(model_id, session_id, lora, body.get("user_metadata"))
        future, job = self._future(run(model_id))
        self._service.compute.train(job)
        created = {"request_id": future.request_id, "model_id": model_id}
        if model_seq_id is not None:
            self._created[session_id, model_seq_id] = (digest, created)
        return created

    def submit(self, model_id: str, seq: int | None, kind: str, body: dict[str, Any], run: Run) -> dict[str, str]:
        """Queues one request. Without a ``seq_id`` it follows the highest one seen, and cannot be sent twice safely."""
        model = self.find(model_id)
        digest = body_digest({"kind": kind, "body": body})
        if seq is None:
            seq = model.highest_seq + 1
        elif seq in model.received:
            if model.received[seq][0] != digest:
                raise number_reused("seq_id", seq)
            return {"request_id": model.received[seq][1], "model_id": model_id}
        elif seq < model.next_seq:
            raise ApiError(
                409, f"seq_id: request {seq} was refused, and later ones have been executed since",
                path="seq_id", value=seq,
            )  # fmt: skip
        future, job = self._future(run)
        model.received[seq] = (digest, future.request_id)
        model.highest_seq = max(model.highest_seq, seq)
        model.last_request_time = time.time()
        model.refused.pop(seq, None)
        model.waiting[seq] = job
        self._advance(model)
        return {"request_id": future.request_id, "model_id": model_id}

    @contextmanager
    def checking(self, model_id: str, seq: int | None, is_pass: bool = False) -> Iterator[None]:
        """Around whatever may refuse a request: those behind it must not wait for it for ever.

        A refused pass counts as a failed one, so that an ``optim_step`` sent behind it does not step with a part of
        its batch.
        """
        try:
            yield
        except ApiError as refusal:
            model = self.find(model_id)
            if seq is not None and seq >= model.next_seq and seq not in model.received:
                fail = train(self._service, partial(_fail_pass, model_id, refusal), lambda *_: None)
                model.refused[seq] = fail if is_pass else None
                self._advance(model)
            raise

    def is_repeat(self, model_id: str, seq: int | None) -> bool:
        return seq is not None and seq in self.find(model_id).received

    def unload(self, model_id: str) -> dict[str, str]:
        self.find(model_id)
        future, job = self._future(lambda models: models.unload(model_id))
        self._service.compute.train(job)
        for left in self._models.pop(model_id).waiting.values():
            left.on_done(None, model_not_loaded(model_id))
        return {"request_id": future.request_id, "model_id": model_id}

    def _advance(self, model: ModelRecord) -> None:
        """Hands on whatever has its turn. A refused request is passed over only when a later one waits behind it."""
        while model.waiting:
            if model.next_seq in model.waiting:
                job = model.waiting.pop(model.next_seq)
            elif model.next_seq in model.refused:
                job = model.refused.pop(model.next_seq)
            else:
                return
            model.next_seq += 1
            if job is not None:
                self._service.compute.train(job)

    def _future(self, run: Run) -> tuple[Future, TrainJob]:
        futures = self._service.futures
        future = futures.create()
        return future, train(self._service, run, lambda result, error: futures.finish(future, result, error))


def _fail_pass(model_id: str, refusal: ApiError, models: Models) -> None:
    """What a pass does that fails at once."""
    attempt = models.forward_backward(model_id, [], Loss("cross_entropy"), True)
    next(attempt)
    attempt.throw(refusal)


def body_digest(body: dict[str, Any]) -> str:
    """The same for the same request, whatever the order of its fields."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)).hexdigest()


def number_reused(name: str, value: int) -> ApiError:
    return ApiError(409, f"{name}: sequence number {value} was reused for a different request", path=name, value=value)
