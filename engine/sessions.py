"""Sessions of the training protocol: they name models and samplers, and own nothing.

Models live until they are unloaded, whoever stops heartbeating. A session that this process did not open, such as one
from before a restart, is taken as it comes; its models get ids of their own, so that they cannot be taken for those
whose checkpoints are on disk.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from .errors import ApiError


@dataclass
class Session:
    session_id: str
    opened_here: bool
    user_metadata: dict[str, Any] | None = None
    display_name: str | None = None
    finished: bool = False
    training_run_ids: list[str] = field(default_factory=list)
    sampler_ids: list[str] = field(default_factory=list)


@dataclass
class Sampler:
    """A name to sample by. ``version`` is None until the weights it stands for have been published."""

    sampler_id: str
    base_model: str
    model_path: str | None
    version: str | None


class Sessions:
    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._samplers: dict[str, Sampler] = {}

    def open(self, user_metadata: dict[str, Any] | None, display_name: str | None) -> Session:
        session = Session(f"session-{uuid.uuid4().hex[:16]}", True, user_metadata, display_name)
        self._sessions[session.session_id] = session
        return session

    def find(self, session_id: str) -> Session:
        if session_id not in self._sessions:
            raise ApiError(404, f"Session {session_id!r} is unknown", path="session_id", value=session_id)
        return self._sessions[session_id]

    def list(self) -> list[str]:
        """Newest first."""
        return list(reversed(self._sessions))

    def use(self, session_id: str) -> Session:
        """A session to make something in, or to keep alive. @throws ApiError 410 once it was finished"""
        session = self._sessions.setdefault(session_id, Session(session_id, opened_here=False))
        if session.finished:
            raise ApiError(
                410, f"Session {session_id!r} was finished: create another one", path="session_id", value=session_id
            )
        return session

    def name_model(self, session_id: str, model_seq_id: int | None) -> str:
        session = self.use(session_id)
        if session.opened_here and model_seq_id is not None:
            model_id = f"{session_id}:train:{model_seq_id}"
        else:
            model_id = f"run-{uuid.uuid4().hex[:16]}"
        session.training_run_ids.append(model_id)
        return model_id

    def add_sampler(self, session_id: str, seq: int, base_model: str, path: str | None, version: str | None) -> Sampler:
        """Once per (session, number); a repeat gets the first one, and anything else under its number is a 409."""
        session, sampler_id = self.use(session_id), f"{session_id}:sample:{seq}"
        sampler = Sampler(sampler_id, base_model, path, version)
        earlier = self._samplers.setdefault(sampler_id, sampler)
        if earlier is sampler:
            session.sampler_ids.append(sampler_id)
        elif (earlier.base_model, earlier.model_path) != (base_model, path):
            raise ApiError(
                409, f"sampling_session_seq_id: number {seq} was reused for a different sampler",
                path="sampling_session_seq_id", value=seq,
            )  # fmt: skip
        return earlier

    def sampler(self, sampler_id: str, field: str) -> Sampler:
        if sampler_id not in self._samplers:
            raise ApiError(
                404, f"Sampling session {sampler_id!r} is unknown: the engine was restarted. Create it again",
                path=field, value=sampler_id,
            )  # fmt: skip
        return self._samplers[sampler_id]
