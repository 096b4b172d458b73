"""Sampling by the training protocol: sampling sessions, and samples as futures."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from .checkpoints import CheckpointRef
from .decoder import SampleJob
from .errors import ApiError, FieldError
from .fields import Fields
from .futures import Future
from .prompt_scores import PromptScores
from .service import (
    LARGEST_SEED,
    MAX_SAMPLES,
    Caller,
    Service,
    answer,
    check_length,
    read_body,
    read_stops,
    record,
    start_sampling,
)  # fmt: skip
from .sessions import Sessions
from .tinker_data import LARGEST_SEQ, PREFIX, read_base, read_model_input
from .training_requests import body_digest, number_reused

MAX_TOP = 100
# What the protocol can ask for and this engine has not, with the values that ask for nothing.
NOT_OFFERED = {
    "topk_sample_logprobs": 0,
    "target_prompt_logprobs": None,
    "prompt_alt_tokens_k": 0,
    "record_stability_info": False,
}


def add_sampling_routes(app: FastAPI, service: Service, sessions: Sessions) -> None:
    @app.post(f"{PREFIX}/create_sampling_session")
    async def create_sampling_session(request: Request) -> Response:
        fields = Fields(await read_body(request))
        session, seq = fields.string("session_id"), fields.integer("sampling_session_seq_id", 0, LARGEST_SEQ)
        base, path = fields.string("base_model", None), fields.string("model_path", None)
        fields.ignore("type")
        fields.done()
        if path is not None:
            version = str(_sampler_checkpoint(service, path))
            base = service.store.meta(CheckpointRef.parse(path, "model_path"), "model_path")["base_model"]
        elif base is not None:
            version = read_base(Fields({"base_model": base}), service)
        else:
            raise FieldError("model_path", None, "give base_model or model_path")
        return answer({"sampling_session_id": sessions.add_sampler(session, seq, base, path, version).sampler_id})

    @app.get(f"{PREFIX}/samplers/{{sampler_id}}")
    async def get_sampler(sampler_id: str) -> Response:
        found = sessions.sampler(sampler_id, "sampler_id")
        return answer({"sampler_id": sampler_id, "base_model": found.base_model, "model_path": found.model_path})

    @app.post(f"{PREFIX}/asample")
    async def asample(request: Request) -> Response:
        caller, body = Caller.of(request), await read_body(request)
        fields = Fields(body)
        sampler_id = fields.string("sampling_session_id", None)
        request_id = None
        if sampler_id is not None:
            # The number makes a repeat of the same request known, for as long as its result can be fetched.
            request_id = f"{sampler_id}:{fields.integer('seq_id', 0, LARGEST_SEED)}"
            earlier, digest = service.futures.find(request_id), body_digest(body)
            if earlier is not None:
                if earlier.digest != digest:
                    raise number_reused("seq_id", body["seq_id"])
                return answer(_promise(earlier, body.get("num_samples", 1)))
        parameters = _read_sample(service, sessions, sampler_id, fields)
        future = service.futures.create(request_id, digest if sampler_id is not None else "")
        _start(service, caller, future, parameters)
        return answer(_promise(future, parameters["n"]))

    @app.post(f"{PREFIX}/cancel_future")
    async def cancel_future(request: Request) -> Response:
        service.futures.cancel(Fields(await read_body(request)).string("request_id"))
        return Response(status_code=204)


def _sampler_checkpoint(service: Service, path: str) -> CheckpointRef:
    ref = CheckpointRef.parse(path, "model_path")
    if ref.kind != "sampler_weights":
        raise FieldError(
            "model_path", path, "must be weights for sampling (…/sampler_weights/…): save_weights_for_sampler"
        )
    service.store.meta(ref, "model_path")
    return ref


def _read_sample(service: Service, sessions: Sessions, sampler_id: str | None, fields: Fields) -> dict[str, Any]:
    base, path = fields.string("base_model", None), fields.string("model_path", None)
    if sum(given is not None for given in (base, path, sampler_id)) != 1:
        raise FieldError("model_path", path, "give exactly one of base_model, model_path and sampling_session_id")
    version = base or path
    if sampler_id is not None:
        version = sessions.sampler(sampler_id, "sampling_session_id").version
        if version is None:
            raise FieldError("sampling_session_id", sampler_id, "has no weights yet: wait for save_weights_for_sampler")
    size, longest = service.vocabulary.size, service.max_positions
    prompt = read_model_input(fields.any("prompt"), "prompt", size, longest - 1)
    n = fields.integer("num_samples", 1, MAX_SAMPLES, 1)
    params = fields.object("sampling_params", Fields({}, "sampling_params"))
    max_tokens = params.integer("max_tokens", 1, longest, longest - len(prompt))
    check_length(service, len(prompt), max_tokens, "sampling_params.max_tokens")
    seed = params.integer("seed", -LARGEST_SEED, LARGEST_SEED, None)
    parameters = {
        "version": version,
        "prompts": [prompt],
        "n": n,
        "max_tokens": max_tokens,
        "temperature": params.number("temperature", 0, 100, 1.0),
        "top_p": params.number("top_p", 1e-6, 1, 1.0),
        "top_k": params.integer("top_k", -1, 2**31, -1),
        "stops": read_stops(params, size, allow_tokens=True),
        "seed": secrets.randbits(63) if seed is None else seed,
    }
    params.done()
    if (scores := _read_scores(fields, len(prompt), size)) is not None:
        parameters["scores"] = scores
    for name, harmless in NOT_OFFERED.items():
        if (value := fields.any(name, harmless)) != harmless:
            raise FieldError(name, value, "is not supported by this engine: leave it out")
    fields.ignore("type", "seq_id")
    fields.done()
    return parameters


def _read_scores(fields: Fields, prompt_tokens: int, vocabulary: int) -> PromptScores | None:
    """What is wanted to be known of the prompt itself. ``top`` 0: only its own tokens."""
    wanted, top = fields.boolean("prompt_logprobs", False), fields.integer("topk_prompt_logprobs", 0, MAX_TOP, 0)
    if not wanted and fields.has("prompt_logprobs_last_n"):
        raise FieldError("prompt_logprobs_last_n", fields.any("prompt_logprobs_last_n"), "needs prompt_logprobs")
    last = fields.integer("prompt_logprobs_last_n", 1, max(1, prompt_tokens - 1), prompt_tokens - 1)
    return PromptScores(last, min(top, vocabulary), wanted) if wanted or top else None


def _start(service: Service, caller: Caller, future: Future, parameters: dict[str, Any]) -> None:
    cancelled = False
    job, done = start_sampling(service, **parameters)

    def cancel() -> None:
        nonlocal cancelled
        cancelled = True
        service.compute.cancel(job)

    def finish(ended: Any) -> None:
        error = ended.exception()
        if error is None and cancelled:
            error = ApiError(400, "cancelled by its client")
            record(service, caller, job, delivered=False)
        elif not isinstance(error, ApiError):
            # A promise has no waiting connection: it counts as delivered when its result can be fetched.
            record(service, caller, job, delivered=error is None)
        service.futures.finish(future, None if error else _result(job), error)

    future.cancel = cancel
    done.add_done_callback(finish)


def _result(job: SampleJob) -> dict[str, Any]:
    sequences = [
        {"tokens": sample.tokens, "logprobs": sample.logprobs, "stop_reason": sample.finish_reason}
        for sample in job.samples
        if sample is not None
    ]
    result: dict[str, Any] = {"type": "sample", "sequences": sequences}
    return result if job.scores is None else result | job.scores.answer(len(job.prompts[0]))


def _promise(future: Future, n: int) -> dict[str, Any]:
    ids = [f"{future.request_id}:{i}" for i in range(n)]
    return {"request_id": future.request_id, "sample_sequence_ids": ids}
