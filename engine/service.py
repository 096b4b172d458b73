"""What the two HTTP protocols share: the engine's parts, bodies in and out, and one sampling call with its account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from .checkpoints import CheckpointStore
from .compute import Compute
from .decoder import SampleJob
from .errors import ApiError, FieldError
from .fields import Fields, parse_body
from .futures import Futures
from .journal import Entry, Journal
from .models import Models
from .training_queue import TrainJob
from .vocabulary import Stops, Vocabulary

try:
    import zstandard  # optional: clients are told not to compress, see `client/config`
except ImportError:
    zstandard = None

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_PROMPTS, MAX_SAMPLES, MAX_ROWS = 4096, 1024, 16384
MAX_STOPS, MAX_STOP_CHARACTERS = 16, 200
LARGEST_SEED = 2**63 - 1


@dataclass
class Service:
    """``tokenizer`` is where transformers finds it: a folder of this machine."""

    name: str
    tokenizer: str
    max_positions: int
    compute: Compute
    vocabulary: Vocabulary
    store: CheckpointStore
    journal: Journal
    futures: Futures


@dataclass(frozen=True)
class Caller:
    """Who pays: the caller's id of the call, which activity makes it and in which attempt, from headers."""

    call: str
    attempt: int
    activity: str

    @staticmethod
    def of(request: Request) -> Caller:
        attempt = request.headers.get("x-astroflow-attempt", "1")
        if not attempt.isdigit():
            raise FieldError("x-astroflow-attempt", attempt, "must be a whole number")
        call, activity = (request.headers.get(f"x-astroflow-{name}", "") for name in ("call", "activity"))
        return Caller(call, int(attempt), activity)


async def read_body(request: Request) -> dict[str, Any]:
    if is_protobuf(request):
        raise ApiError(415, "protobuf bodies are understood by forward_backward only: send JSON")
    return parse_body(await read_bytes(request))


def is_protobuf(request: Request) -> bool:
    return "protobuf" in request.headers.get("content-type", "")


async def read_bytes(request: Request) -> bytes:
    """The body, decompressed. No more than MAX_BODY_BYTES are held before or after."""
    size, chunks = 0, []
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
    body = b"".join(chunks)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return body
    if encoding != "zstd" or zstandard is None:
        raise ApiError(415, f"Content-Encoding {encoding!r} is not understood by this engine: send the body as it is")
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            whole = reader.read(MAX_BODY_BYTES + 1)
    except zstandard.ZstdError as error:
        raise ApiError(400, f"The body is not zstd: {error}") from None
    if len(whole) > MAX_BODY_BYTES:
        raise _too_large()
    return whole


def _too_large() -> ApiError:
    return ApiError(413, f"The body is larger than {MAX_BODY_BYTES} bytes: send fewer items per request")


def answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type="application/json")


def check_length(service: Service, longest_prompt: int, max_tokens: int, path: str) -> None:
    if longest_prompt + max_tokens > service.max_positions:
        raise FieldError(
            path, max_tokens, f"with a prompt of {longest_prompt} tokens may be at most "
            f"{max(0, service.max_positions - longest_prompt)} (the model has {service.max_positions} positions)",
        )  # fmt: skip


def read_stops(fields: Fields, vocabulary_size: int, allow_tokens: bool) -> Stops:
    """``stop``: a string, a list of strings, or (where allowed) a list of token ids."""
    value, path = fields.any("stop", []), fields.path("stop")
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_STOPS:
        raise FieldError(path, value, f"may have at most {MAX_STOPS} items")
    if allow_tokens and items and all(isinstance(v, int) and not isinstance(v, bool) for v in items):
        for at, token in enumerate(items):
            if not 0 <= token < vocabulary_size:
                raise FieldError(f"{path}[{at}]", token, f"must be a token id from 0 to {vocabulary_size - 1}")
        return Stops(tokens=tuple(items))
    for at, text in enumerate(items):
        if not isinstance(text, str) or not 1 <= len(text) <= MAX_STOP_CHARACTERS:
            raise FieldError(f"{path}[{at}]", text, f"must be a string of 1 to {MAX_STOP_CHARACTERS} characters")
    return Stops(strings=tuple(items))


def train(service: Service, run: Callable[[Models], Any], on_done: Callable[[Any, Exception | None], None]) -> TrainJob:
    """A job whose end is told on the event loop. The caller submits it when its turn has come."""
    loop = asyncio.get_running_loop()
    return TrainJob(run, lambda result, error: loop.call_soon_threadsafe(on_done, result, error))


def start_sampling(service: Service, **parameters: Any) -> tuple[SampleJob, asyncio.Future[None]]:
    """Hands a job to the decoder. The future ends when the job has, and raises what the decoder raised."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    job = SampleJob(**parameters, on_done=lambda _, error: loop.call_soon_threadsafe(settle, error))
    service.compute.sample(job)
    return job, done


def record(service: Service, caller: Caller, job: SampleJob, delivered: bool) -> None:
    service.journal.append(
        Entry(
            caller.call,
            caller.attempt,
            job.version,
            job.prompt_tokens(),
            job.completion_tokens(),
            delivered,
            time.time(),
            caller.activity,
        )
    )


async def sample_while_connected(
    service: Service, request: Request, caller: Caller, **parameters: Any
) -> SampleJob | None:
    """The finished job, or None if the client went away first; both are in the journal."""
    job, done = start_sampling(service, **parameters)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
        delivered = done.done()
        if not delivered:
            service.compute.cancel(job)
        try:
            await done
        except ApiError:
            raise
        except Exception:
            record(service, caller, job, delivered=False)
            raise
        record(service, caller, job, delivered)
        return job if delivered else None
    finally:
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
