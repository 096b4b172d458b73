"""The training protocol: a subset of Tinker's REST API, JSON only, full-parameter training; sampling with futures."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from .checkpoints import CheckpointRef, check_name, exists_already
from .decoder import SampleJob
from .errors import ApiError, FieldError
from .fields import Fields
from .models import Models
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
from .tinker_data import read_adam, read_data, read_loss, read_model_input
from .training_requests import TrainingRequests

PREFIX = "/api/v1"
LONGEST_TTL_SECONDS = 10 * 365 * 86400
LARGEST_SEQ = 2**31 - 1


def add_tinker_routes(app: FastAPI, service: Service) -> None:
    requests = TrainingRequests(service)

    def base_only(fields: Fields) -> None:
        base = fields.string("base_model", service.name)
        if base != service.name:
            raise FieldError(
                fields.path("base_model"), base, f"must be {service.name!r}, the only base model of this engine"
            )

    @app.post(f"{PREFIX}/create_model")
    async def create_model(request: Request) -> Response:
        body = await read_body(request)
        fields = Fields(body)
        session, model_seq = fields.string("session_id"), fields.integer("model_seq_id", 0, LARGEST_SEQ, None)
        base_only(fields)
        lora = fields.object("lora_config", None)
        if lora is not None and (rank := lora.integer("rank", 0, 2**31, 32)) > 0:
            raise FieldError(
                "lora_config.rank", rank, "LoRA is not supported by this engine, which trains all parameters: "
                "leave lora_config out or set rank 0",
            )  # fmt: skip
        fields.ignore("user_metadata", "type")
        fields.done()
        return answer(
            requests.create(session, model_seq, body, lambda model_id: lambda models: models.create(model_id))
        )

    @app.post(f"{PREFIX}/load_weights")
    async def load_weights(request: Request) -> Response:
        body = await read_body(request)
        fields = Fields(body)
        ref = CheckpointRef.parse(fields.string("path"), "path")
        if ref.kind != "weights":
            raise FieldError(
                "path", str(ref), "must be a training checkpoint (…/weights/…): this one is for sampling only"
            )
        optimizer = fields.boolean("optimizer", False)
        fields.ignore("weights_access_token", "type", "user_metadata")
        if fields.has("session_id"):
            session, model_seq = fields.string("session_id"), fields.integer("model_seq_id", 0, LARGEST_SEQ, None)
            base_only(fields)
            fields.done()
            service.store.meta(ref)

            def create_and_load(model_id: str) -> Callable[[Models], Any]:
                def run(models: Models) -> Any:
                    models.create(model_id)
                    return models.load(model_id, ref, optimizer)

                return run

            return answer(requests.create(session, model_seq, body, create_and_load))
        model_id, seq = _model_and_seq(fields)
        fields.done()
        model = requests.find(model_id)
        if not requests.is_repeat(model_id, seq):
            if (model.highest_seq + 1 if seq is None else seq) != 1:
                raise FieldError("seq_id", seq, "must be 1: load_weights is only allowed as a model's first request")
            service.store.meta(ref)
        load = requests.submit(model_id, seq, "load", body, lambda models: models.load(model_id, ref, optimizer))
        return answer(load)

    async def pass_over_data(request: Request, name: str, backward: bool) -> Response:
        body = await read_body(request)
        fields = Fields(body)
        model_id, seq = _model_and_seq(fields)
        requests.find(model_id)
        inputs = fields.object(name)
        loss = read_loss(inputs)
        data = read_data(inputs, loss, service.vocabulary.size, service.max_positions)
        inputs.done()
        fields.done()
        return answer(
            requests.submit(
                model_id, seq, name, body, lambda models: models.forward_backward(model_id, data, loss, backward)
            )
        )

    @app.post(f"{PREFIX}/forward_backward")
    async def forward_backward(request: Request) -> Response:
        return await pass_over_data(request, "forward_backward_input", backward=True)

    @app.post(f"{PREFIX}/forward")
    async def forward(request: Request) -> Response:
        return await pass_over_data(request, "forward_input", backward=False)

    @app.post(f"{PREFIX}/optim_step")
    async def optim_step(request: Request) -> Response:
        body = await read_body(request)
        fields = Fields(body)
        model_id, seq = _model_and_seq(fields)
        adam = read_adam(fields.object("adam_params", Fields({}, "adam_params")))
        fields.done()
        return answer(requests.submit(model_id, seq, "optim_step", body, lambda models: models.step(model_id, adam)))

    async def save(request: Request, kind: str) -> Response:
        body = await read_body(request)
        fields = Fields(body)
        model_id, seq = _model_and_seq(fields)
        model = requests.find(model_id)
        if fields.has("sampling_session_seq_id"):
            raise FieldError(
                "sampling_session_seq_id", fields.any("sampling_session_seq_id"),
                "is not supported by this engine: give a path, and sample by the name that comes back",
            )  # fmt: skip
        name = check_name(fields.string("path", f"seq-{seq or model.highest_seq + 1}"), "path")
        ttl = fields.number("ttl_seconds", 0, LONGEST_TTL_SECONDS, None)
        overwrite = fields.boolean("overwrite", False)
        fields.done()
        ref = CheckpointRef(model_id, kind, name)
        if overwrite and kind == "sampler_weights":
            raise FieldError(
                "overwrite", True, "is not supported for sampler weights: a published version never changes"
            )
        if not overwrite and not requests.is_repeat(model_id, seq) and service.store.exists(ref):
            raise exists_already(ref)
        return answer(
            requests.submit(model_id, seq, kind, body, lambda models: models.save(model_id, ref, ttl, overwrite))
        )

    @app.post(f"{PREFIX}/save_weights")
    async def save_weights(request: Request) -> Response:
        return await save(request, "weights")

    @app.post(f"{PREFIX}/save_weights_for_sampler")
    async def save_weights_for_sampler(request: Request) -> Response:
        return await save(request, "sampler_weights")

    @app.post(f"{PREFIX}/unload_model")
    async def unload_model(request: Request) -> Response:
        fields = Fields(await read_body(request))
        model_id = fields.string("model_id")
        fields.ignore("type")
        fields.done()
        return answer(requests.unload(model_id))

    @app.post(f"{PREFIX}/get_info")
    async def get_info(request: Request) -> Response:
        model_id = Fields(await read_body(request)).string("model_id")
        requests.find(model_id)
        data = {
            "arch": service.compute.models.architecture.name,
            "model_name": service.name,
            "tokenizer_id": service.name,
        }
        return answer({"model_id": model_id, "model_data": data, "is_lora": False, "model_name": service.name})

    @app.post(f"{PREFIX}/asample")
    async def asample(request: Request) -> Response:
        caller = Caller.of(request)
        return answer(_sample(service, caller, Fields(await read_body(request))))

    @app.post(f"{PREFIX}/retrieve_future")
    async def retrieve_future(request: Request) -> Response:
        request_id = Fields(await read_body(request)).string("request_id")
        return answer(await service.futures.retrieve(request_id))


def _sample(service: Service, caller: Caller, fields: Fields) -> dict[str, str]:
    base, path = fields.string("base_model", None), fields.string("model_path", None)
    if (base is None) == (path is None):
        raise FieldError(
            "model_path", path, "give exactly one of base_model and model_path (sessions are not supported)"
        )
    version = base or path
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
    for name, harmless in (("prompt_logprobs", False), ("topk_prompt_logprobs", 0)):
        if (value := fields.any(name, harmless)) != harmless:
            raise FieldError(
                name, value, "is not supported by this engine: use forward for log-probabilities of a text"
            )
    fields.ignore("type", "seq_id")
    fields.done()
    future = service.futures.create()
    job, done = start_sampling(service, **parameters)

    def finish(ended: Any) -> None:
        error = ended.exception()
        if not isinstance(error, ApiError):
            # A promise has no waiting connection: it counts as delivered when its result can be fetched.
            record(service, caller, job, delivered=error is None)
        service.futures.finish(future, None if error else _sequences(job), error)

    done.add_done_callback(finish)
    return {"request_id": future.request_id}


def _sequences(job: SampleJob) -> dict[str, Any]:
    sequences = [
        {"tokens": sample.tokens, "logprobs": sample.logprobs, "stop_reason": sample.finish_reason}
        for sample in job.samples
        if sample is not None
    ]
    return {"type": "sample", "sequences": sequences}


def _model_and_seq(fields: Fields) -> tuple[str, int | None]:
    fields.ignore("type")
    return fields.string("model_id"), fields.integer("seq_id", 1, LARGEST_SEQ, None)
