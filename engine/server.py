"""The HTTP application: both protocols, the accounts, and one way to say what was wrong with a request."""

from __future__ import annotations

import logging

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .errors import ApiError, FieldError
from .openai_api import add_openai_routes
from .service import Service, answer
from .sessions import Sessions
from .tinker_api import add_tinker_routes
from .tinker_catalog import add_catalog_routes
from .tinker_sampling import add_sampling_routes
from .training_requests import TrainingRequests

log = logging.getLogger("astroflow.engine")

CALL_FIELDS = ("call", "activity", "attempt", "prompt_tokens", "completion_tokens", "delivered")


def create_app(service: Service) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_openai_routes(app, service)
    sessions = Sessions()
    requests = TrainingRequests(service, sessions)
    add_tinker_routes(app, service, sessions, requests)
    add_sampling_routes(app, service, sessions)
    add_catalog_routes(app, service, sessions, requests)

    @app.get("/astroflow/usage")
    async def usage(prefix: str = "") -> Response:
        return answer(service.journal.usage(prefix))

    @app.get("/astroflow/calls")
    async def calls(prefix: str = "", after: int = 0) -> Response:
        if after < 0:
            raise FieldError("after", after, "must be what `next` of the page before said")
        found, end = service.journal.calls(prefix, after)
        shown = [{name: row.get(name, "") for name in CALL_FIELDS} for row in found]
        return answer({"calls": shown, "next": end})

    @app.get("/astroflow/stats")
    async def stats() -> Response:
        compute, counters = service.compute, service.compute.counters()
        return answer(
            {
                "tokens_generated": counters.tokens,
                "prompt_tokens_computed": counters.prompt_tokens,
                "decode_steps": counters.steps,
                "mean_batch": counters.tokens / counters.steps if counters.steps else 0.0,
                "decode_seconds": compute.seconds("decode"),
                "train_seconds": compute.seconds("train"),
                "running": compute.running(),
                "queue_length": compute.waiting(),
                "training_queue_length": compute.training_jobs(),
            }
        )

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> Response:
        return _refusal(request, error.status, error.message, error.path, error.value)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}"
        return _refusal(request, error.status_code, message, None, None)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _refusal(request, 500, f"{type(error).__name__}: {error}", None, None)

    return app


def _refusal(request: Request, status: int, message: str, path: str | None, value: object) -> Response:
    """Each protocol's own shape, both with the field's path and value."""
    if request.url.path.startswith("/v1/"):
        kind = "invalid_request_error" if status < 500 else "server_error"
        return answer(
            {"error": {"message": message, "type": kind, "param": path, "value": value, "code": status}}, status
        )
    return answer({"detail": message, "path": path, "value": value}, status)
