"""Completions in the shape of the OpenAI API with vLLM's additions. The policy version is the model's name.

``logprobs.token_logprobs`` are the policy's own: log-softmax of the raw logits at temperature 1, whatever temperature
and filters chose the token. They are what reinforcement learning needs, and they differ from the sampling distribution.
"""

from __future__ import annotations

import secrets
import time
import uuid
from importlib import metadata
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from .decoder import Sample, SampleJob
from .errors import FieldError, unknown_version
from .fields import Fields, token_ids
from .service import (
    LARGEST_SEED,
    MAX_PROMPTS,
    MAX_ROWS,
    MAX_SAMPLES,
    Caller,
    Service,
    answer,
    check_length,
    read_body,
    read_stops,
    sample_while_connected,
)  # fmt: skip

CLIENT_CLOSED_REQUEST = 499
# Who answered, as vLLM says it: evaluations keep it as part of their protocol. What computes is torch's version.
FINGERPRINT = f"astroflow-engine-torch-{metadata.version('torch').split('+')[0]}"
HARMLESS = ("user", "request_id", "cache_salt", "priority", "skip_special_tokens", "add_special_tokens")


def add_openai_routes(app: FastAPI, service: Service) -> None:
    started = int(time.time())

    def describe(name: str, created: float) -> dict[str, Any]:
        return {
            "id": name, "object": "model", "created": int(created), "owned_by": "astroflow",
            "max_model_len": service.max_positions,
        }  # fmt: skip

    def known() -> list[dict[str, Any]]:
        versions = service.store.list("sampler_weights")
        return [describe(service.name, started), *(describe(str(ref), meta["created"]) for ref, meta in versions)]

    @app.get("/v1/models")
    async def models() -> Response:
        return answer({"object": "list", "data": known()})

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        models = {entry["id"]: entry for entry in known()}
        if name not in models:
            raise unknown_version(name, list(models))
        return answer(models[name])

    async def completions(request: Request) -> Response:
        caller = Caller.of(request)
        fields = Fields(await read_body(request))
        version = fields.string("model")
        prompts = read_prompts(fields, service)
        max_tokens = fields.integer("max_tokens", 1, service.max_positions, 16)
        check_length(service, max(map(len, prompts)), max_tokens, "max_tokens")
        n = fields.integer("n", 1, MAX_SAMPLES, 1)
        if len(prompts) * n > MAX_ROWS:
            raise FieldError("n", n, f"times {len(prompts)} prompts may be at most {MAX_ROWS} completions")
        parameters = {
            "version": version,
            "prompts": prompts,
            "n": n,
            "max_tokens": max_tokens,
            "temperature": fields.number("temperature", 0, 100, 1.0),
            "top_p": fields.number("top_p", 1e-6, 1, 1.0),
            "top_k": fields.integer("top_k", -1, 2**31, -1),
            "stops": read_stops(fields, service.vocabulary.size, allow_tokens=False),
            "seed": fields.integer("seed", -LARGEST_SEED, LARGEST_SEED, None),
        }
        if parameters["seed"] is None:
            parameters["seed"] = secrets.randbits(63)
        keep_stop = fields.boolean("include_stop_str_in_output", False)
        return_ids = fields.boolean("return_token_ids", False)
        # The log-probability of the sampled token is all there is: no alternatives beside it.
        logprobs = fields.integer("logprobs", 0, 1, None)
        refuse_unsupported(fields)
        fields.ignore(*HARMLESS)
        fields.done()
        job = await sample_while_connected(service, request, caller, **parameters)
        if job is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return answer(_body(service, job, keep_stop, return_ids, logprobs is not None))

    # A plain route: the one that is called most does not need what FastAPI does around an endpoint.
    app.add_route("/v1/completions", completions, methods=["POST"])


def read_prompts(fields: Fields, service: Service) -> list[np.ndarray]:
    """``prompt``: a string, a list of strings, a list of token ids, or a list of lists of token ids."""
    value = fields.any("prompt")
    single = isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], int))
    prompts, size = ([value] if single else value), service.vocabulary.size
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= MAX_PROMPTS:
        raise FieldError("prompt", value, f"must be a string, token ids, or a list of 1 to {MAX_PROMPTS} of them")
    read = []
    for at, prompt in enumerate(prompts):
        path = "prompt" if single else f"prompt[{at}]"
        ids = service.vocabulary.encode(prompt) if isinstance(prompt, str) else prompt
        if isinstance(prompt, str) and not ids:
            raise FieldError(path, prompt, "must have at least one token")
        tokens = token_ids(ids, path, size)
        if len(tokens) >= service.max_positions:
            raise FieldError(path, f"{len(tokens)} tokens", f"must be shorter than {service.max_positions} tokens")
        read.append(tokens)
    return read


def refuse_unsupported(fields: Fields) -> None:
    for name, harmless in (("echo", False), ("stream", False), ("best_of", 1), ("suffix", "")):
        value = fields.any(name, harmless)
        if value != harmless:
            raise FieldError(fields.path(name), value, "is not supported by this engine: leave it out")


def _body(service: Service, job: SampleJob, keep_stop: bool, return_ids: bool, logprobs: bool) -> dict[str, Any]:
    choices = [_choice(service, job, i, keep_stop, return_ids, logprobs) for i in range(len(job.samples))]
    prompt_tokens, completion_tokens = job.prompt_tokens(), job.completion_tokens()
    return {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": job.version,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _choice(service: Service, job: SampleJob, index: int, keep_stop: bool, ids: bool, logprobs: bool) -> dict[str, Any]:
    sample: Sample | None = job.samples[index]
    assert sample is not None
    tokens = sample.tokens.tolist()
    matched = sample.stop_reason if isinstance(sample.stop_reason, str) else None
    choice: dict[str, Any] = {
        "index": index,
        "text": service.vocabulary.completion_text(tokens, matched, keep_stop),
        "finish_reason": sample.finish_reason,
        "stop_reason": sample.stop_reason,
        "logprobs": None,
    }
    if logprobs:
        pieces = service.vocabulary.pieces
        choice["logprobs"] = {
            "tokens": [pieces[token] for token in tokens],
            "token_logprobs": sample.logprobs,
            "top_logprobs": None,
        }
    if ids:
        choice["token_ids"] = tokens
        choice["prompt_token_ids"] = job.prompts[index // job.n]
    return choice
