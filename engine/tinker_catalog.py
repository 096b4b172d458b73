"""The parts of the training protocol that train nothing: capabilities, sessions, and lists of checkpoints."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from .checkpoints import CheckpointRef
from .errors import ApiError
from .fields import Fields
from .service import Service, answer, read_body
from .tinker_api import PREFIX
from .tinker_data import LOSS_INPUTS, MAX_DATA

MAX_CHUNK_BYTES = 5_000_000


def add_catalog_routes(app: FastAPI, service: Service) -> None:
    def summary(ref: CheckpointRef, meta: dict[str, Any]) -> dict[str, Any]:
        return {
            "checkpoint_id": f"{ref.kind}/{ref.name}",
            "checkpoint_type": "training" if ref.kind == "weights" else "sampler",
            "time": _iso(meta["created"]),
            "tinker_path": str(ref),
            "size_bytes": sum(file.stat().st_size for file in service.store.folder(ref).iterdir()),
            "public": False,
            "expires_at": None if meta["expires"] is None else _iso(meta["expires"]),
        }

    @app.get(f"{PREFIX}/healthz")
    async def healthz() -> Response:
        if not service.compute.is_alive():
            raise ApiError(503, "a compute lane has ended: restart the engine")
        return answer({"status": "ok"})

    @app.get(f"{PREFIX}/get_server_capabilities")
    async def capabilities() -> Response:
        models = [{"model_name": service.name, "max_context_length": service.max_positions}]
        return answer(
            {
                "supported_models": models,
                "full_finetune": True,
                "lora": False,
                "seq_id": "deduplicates",
                "loss_fns": list(LOSS_INPUTS),
                "wire_formats": ["json"],
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

    @app.post(f"{PREFIX}/create_session")
    async def create_session(request: Request) -> Response:
        """Sessions only name things here: models live until they are unloaded, whoever stops heartbeating."""
        await read_body(request)
        return answer({"session_id": f"session-{uuid.uuid4().hex[:16]}"})

    @app.post(f"{PREFIX}/session_heartbeat")
    async def session_heartbeat(request: Request) -> Response:
        Fields(await read_body(request)).string("session_id")
        return answer({"type": "session_heartbeat"})

    @app.post(f"{PREFIX}/weights_info")
    async def weights_info(request: Request) -> Response:
        ref = CheckpointRef.parse(Fields(await read_body(request)).string("tinker_path"), "tinker_path")
        meta = service.store.meta(ref, "tinker_path")
        return answer({"base_model": meta["base_model"], "is_lora": False})

    @app.get(f"{PREFIX}/checkpoints")
    async def checkpoints() -> Response:
        return answer({"checkpoints": [summary(ref, meta) for ref, meta in service.store.list()]})

    @app.get(f"{PREFIX}/training_runs/{{model_id}}/checkpoints")
    async def checkpoints_of(model_id: str) -> Response:
        found = [(ref, meta) for ref, meta in service.store.list() if ref.model_id == model_id]
        return answer({"checkpoints": [summary(ref, meta) for ref, meta in found]})

    @app.delete(f"{PREFIX}/training_runs/{{model_id}}/checkpoints/{{kind}}/{{name}}")
    async def delete_checkpoint(model_id: str, kind: str, name: str) -> Response:
        service.store.delete(CheckpointRef.parse(f"tinker://{model_id}/{kind}/{name}", "checkpoint"))
        return Response(status_code=204)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
