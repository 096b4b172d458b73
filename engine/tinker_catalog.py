"""The parts of the training protocol that train nothing: flags, sessions, runs and their checkpoints."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from email.utils import formatdate
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from .archive import tar_response
from .checkpoints import CheckpointRef
from .errors import ApiError, FieldError
from .fields import Fields
from .lora import Lora, describe, described
from .service import Service, answer, read_body
from .sessions import Sessions
from .tinker_api import LONGEST_TTL_SECONDS
from .tinker_data import LOSS_INPUTS, MAX_DATA, PREFIX
from .training_requests import TrainingRequests

MAX_CHUNK_BYTES = 5_000_000
ARCHIVE_SECONDS = 3600
RUN = f"{PREFIX}/training_runs/{{model_id}}"
CHECKPOINT = f"{RUN}/checkpoints/{{kind}}/{{name}}"

Item = TypeVar("Item")


def add_catalog_routes(app: FastAPI, service: Service, sessions: Sessions, requests: TrainingRequests) -> None:
    store = service.store

    def summary(ref: CheckpointRef, meta: dict[str, Any]) -> dict[str, Any]:
        return {
            "checkpoint_id": f"{ref.kind}/{ref.name}",
            "checkpoint_type": "training" if ref.kind == "weights" else "sampler",
            "time": _iso(meta["created"]),
            "tinker_path": str(ref),
            "size_bytes": sum(file.stat().st_size for file in store.folder(ref).iterdir()),
            "public": meta.get("public", False),
            "user_metadata": meta.get("user_metadata"),
            "expires_at": None if meta["expires"] is None else _iso(meta["expires"]),
        }

    @app.get(f"{PREFIX}/healthz")
    async def healthz() -> Response:
        if not service.compute.is_alive():
            raise ApiError(503, "a compute lane has ended: restart the engine")
        return answer({"status": "ok"})

    @app.get(f"{PREFIX}/get_server_capabilities")
    async def capabilities() -> Response:
        model = {"model_name": service.name, "max_context_length": service.max_positions}
        return answer(
            {
                "supported_models": [model | {"trainable": True, "sampleable": True}],
                "full_finetune": True,
                "lora": True,
                "prompt_logprobs": True,
                "topk_prompt_logprobs": True,
                "ephemeral_sampler": True,
                "heartbeats": False,  # nothing is lost without them
                "seq_id": "deduplicates",
                "loss_fns": list(LOSS_INPUTS),
                "wire_formats": ["json", "protobuf"],
                "usage_journal": True,
            }  # fmt: skip
        )

    @app.post(f"{PREFIX}/client/config")
    async def client_config(request: Request) -> Response:
        await read_body(request)
        return answer(
            {
                "pjwt_auth_enabled": False,
                "parallel_fwdbwd_chunks": False,
                "proto_compress_fwdbwd": False,
                "fwdbwd_max_chunk_len": MAX_DATA,
                "fwdbwd_max_chunk_bytes_count": MAX_CHUNK_BYTES,
                "sample_max_concurrent_requests": 2000,
                "create_model_via_load_weights": True,
            }  # fmt: skip
        )

    @app.post(f"{PREFIX}/client/dynamic_config")
    async def dynamic_config(request: Request) -> Response:
        await read_body(request)
        return answer({"refresh_interval_sec": 3600, "sample_cancel_enabled": True})

    @app.post(f"{PREFIX}/telemetry")
    async def telemetry(request: Request) -> Response:
        """Accepted and dropped."""
        await read_body(request)
        return answer({"status": "accepted"})

    @app.post(f"{PREFIX}/create_session")
    async def create_session(request: Request) -> Response:
        body = await read_body(request)
        Fields(body).object("user_metadata", None)
        return answer({"session_id": sessions.open(body.get("user_metadata"), body.get("display_name")).session_id})

    @app.post(f"{PREFIX}/session_heartbeat")
    async def session_heartbeat(request: Request) -> Response:
        sessions.use(Fields(await read_body(request)).string("session_id"))
        return answer({"type": "session_heartbeat"})

    @app.post(f"{PREFIX}/sessions/{{session_id}}/finish")
    async def finish_session(session_id: str, request: Request) -> Response:
        await read_body(request)
        sessions.find(session_id).finished = True
        return Response(status_code=204)

    @app.get(f"{PREFIX}/sessions")
    async def list_sessions(limit: int | None = None, offset: int = 0) -> Response:
        return answer({"sessions": _page(sessions.list(), limit, offset)[0]})

    @app.get(f"{PREFIX}/sessions/{{session_id}}")
    async def get_session(session_id: str) -> Response:
        session = sessions.find(session_id)
        return answer(
            {
                "training_run_ids": session.training_run_ids,
                "sampler_ids": session.sampler_ids,
                "user_metadata": session.user_metadata,
                "display_name": session.display_name,
            }
        )

    @app.post(f"{PREFIX}/weights_info")
    async def weights_info(request: Request) -> Response:
        ref = CheckpointRef.parse(Fields(await read_body(request)).string("tinker_path"), "tinker_path")
        meta = store.meta(ref, "tinker_path")
        return answer({"base_model": meta["base_model"]} | describe(described(meta)))

    # Runs: the models that are here, and those that left checkpoints behind.

    def runs() -> list[dict[str, Any]]:
        """Latest request first."""
        found, latest = {}, {}
        for record in requests.records():
            found[record.model_id] = run(record.model_id, record.lora, record.user_metadata)
            latest[record.model_id] = record.last_request_time
        for ref, meta in store.list():
            entry = found.setdefault(ref.model_id, run(ref.model_id, described(meta), None))
            entry["last_checkpoint" if ref.kind == "weights" else "last_sampler_checkpoint"] = summary(ref, meta)
            latest[ref.model_id] = max(latest.get(ref.model_id, 0.0), meta["created"])
        ordered = sorted(found, key=lambda model_id: -latest[model_id])
        return [found[model_id] | {"last_request_time": _iso(latest[model_id])} for model_id in ordered]

    def run(model_id: str, lora: Lora | None, user_metadata: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "training_run_id": model_id, "base_model": service.name, "model_owner": "local",
            "is_lora": lora is not None, "lora_rank": lora and lora.rank, "corrupted": False,
            "last_checkpoint": None, "last_sampler_checkpoint": None, "user_metadata": user_metadata,
        }  # fmt: skip

    @app.get(f"{PREFIX}/training_runs")
    async def training_runs(limit: int | None = None, offset: int = 0) -> Response:
        shown, cursor = _page(runs(), limit, offset)
        return answer({"training_runs": shown, "cursor": cursor})

    @app.get(RUN)
    async def training_run(model_id: str) -> Response:
        for found in runs():
            if found["training_run_id"] == model_id:
                return answer(found)
        raise ApiError(404, f"Training run {model_id!r} is unknown", path="training_run_id", value=model_id)

    # Checkpoints

    @app.get(f"{PREFIX}/checkpoints")
    async def checkpoints(limit: int | None = None, offset: int = 0) -> Response:
        shown, cursor = _page(list(store.list()), limit, offset)
        return answer({"checkpoints": [summary(ref, meta) for ref, meta in shown], "cursor": cursor})

    @app.get(f"{RUN}/checkpoints")
    async def checkpoints_of(model_id: str) -> Response:
        found = [(ref, meta) for ref, meta in store.list() if ref.model_id == model_id]
        return answer({"checkpoints": [summary(ref, meta) for ref, meta in found]})

    @app.delete(CHECKPOINT)
    async def delete_checkpoint(model_id: str, kind: str, name: str) -> Response:
        store.delete(_ref(model_id, kind, name))
        return Response(status_code=204)

    @app.put(f"{CHECKPOINT}/ttl")
    async def set_ttl(model_id: str, kind: str, name: str, request: Request) -> Response:
        fields = Fields(await read_body(request))
        ttl = fields.number("ttl_seconds", 0, LONGEST_TTL_SECONDS, None)
        fields.done()
        store.amend(_ref(model_id, kind, name), "checkpoint", expires=None if ttl is None else time.time() + ttl)
        return Response(status_code=204)

    @app.post(f"{CHECKPOINT}/publish")
    async def publish(model_id: str, kind: str, name: str) -> Response:
        """Only noted: whoever reaches the engine may read everything in it."""
        store.amend(_ref(model_id, kind, name), "checkpoint", public=True)
        return Response(status_code=204)

    @app.delete(f"{CHECKPOINT}/publish")
    async def unpublish(model_id: str, kind: str, name: str) -> Response:
        store.amend(_ref(model_id, kind, name), "checkpoint", public=False)
        return Response(status_code=204)

    @app.get(f"{CHECKPOINT}/archive")
    async def archive(model_id: str, kind: str, name: str, request: Request) -> Response:
        ref = _ref(model_id, kind, name)
        expires = store.meta(ref, "checkpoint")["expires"]
        until = min(time.time() + ARCHIVE_SECONDS, expires or float("inf"))
        location = str(request.url.replace(query="")) + ".tar"
        return Response(status_code=302, headers={"location": location, "expires": formatdate(until, usegmt=True)})

    @app.get(f"{CHECKPOINT}/archive.tar")
    async def archive_content(model_id: str, kind: str, name: str) -> Response:
        ref = _ref(model_id, kind, name)
        store.meta(ref, "checkpoint")
        return tar_response(store.folder(ref), ref.name)


def _ref(model_id: str, kind: str, name: str) -> CheckpointRef:
    return CheckpointRef.parse(f"tinker://{model_id}/{kind}/{name}", "checkpoint")


def _page(items: list[Item], limit: int | None, offset: int) -> tuple[list[Item], dict[str, int]]:
    """Everything, where no limit is given."""
    limit = len(items) if limit is None else limit
    for name, value in (("limit", limit), ("offset", offset)):
        if value < 0:
            raise FieldError(name, value, "must not be negative")
    return items[offset : offset + limit], {"offset": offset, "limit": limit, "total_count": len(items)}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
