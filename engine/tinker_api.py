"""The training protocol: Tinker's REST API in JSON, with protobuf where its SDK insists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from .checkpoints import CheckpointRef, check_name
from .errors import FieldError
from .fields import Fields, parse_body
from .lora import check_fits, described
from .models import Models
from .service import Service, answer, is_protobuf, read_body, read_bytes
from .sessions import Sessions
from .tinker_data import LARGEST_SEQ, PREFIX, read_adam, read_base, read_data, read_lora, read_loss, read_optimizer
from .tinker_proto import PROTOBUF, decode_forward_backward, encode_result
from .training_requests import TrainingRequests

LONGEST_TTL_SECONDS = 10 * 365 * 86400
# Weights that are published for a sampling session only, without a name.
UNNAMED_SECONDS, UNNAMED_KEPT = 86400, 8


def add_tinker_routes(app: FastAPI, service: Service, sessions: Sessions, requests: TrainingRequests) -> None:
    @app.post(f"{PREFIX}/create_model")
    async def create_model(request: Request) -> Response:
        body = await read_body(request)
        fields = Fields(body)
        session, model_seq = fields.string("session_id"), fields.integer("model_seq_id", 0, LARGEST_SEQ, None)
        read_base(fields, service)
        read_optimizer(fields)
        lora, seed = read_lora(fields, service.compute.models.architecture.linear_layers)
        fields.object("user_metadata", None)
        fields.ignore("type")
        fields.done()

        def run_for(model_id: str) -> Callable[[Models], Any]:
            return lambda models: models.create(model_id, lora, seed)

        return answer(requests.create(session, model_seq, lora, body, run_for))

    @app.post(f"{PREFIX}/load_weights")
    async def load_weights(request: Request) -> Response:
        body = await read_body(request)
        fields = Fields(body)
        if fields.has("session_id"):
            return answer(create_and_load(body, fields))
        model_id, seq = _model_and_seq(fields)
        model = requests.find(model_id)
        with requests.checking(model_id, seq):
            ref, optimizer = _checkpoint_to_load(fields)
            fields.done()
            if not requests.is_repeat(model_id, seq):
                if (model.highest_seq + 1 if seq is None else seq) != 1:
                    raise FieldError(
                        "seq_id", seq, "must be 1: load_weights is only allowed as a model's first request"
                    )
                check_fits(described(service.store.meta(ref)), model.lora, "path", str(ref))
        load = requests.submit(model_id, seq, "load", body, lambda models: models.load(model_id, ref, optimizer))
        return answer(load)

    def create_and_load(body: dict[str, Any], fields: Fields) -> dict[str, str]:
        session, model_seq = fields.string("session_id"), fields.integer("model_seq_id", 0, LARGEST_SEQ, None)
        read_base(fields, service)
        read_optimizer(fields)
        ref, optimizer = _checkpoint_to_load(fields)
        fields.object("user_metadata", None)
        fields.done()
        lora = described(service.store.meta(ref))

        def run_for(model_id: str) -> Callable[[Models], Any]:
            def run(models: Models) -> Any:
                models.create(model_id, lora)
                return models.load(model_id, ref, optimizer)

            return run

        return requests.create(session, model_seq, lora, body, run_for)

    async def pass_over_data(request: Request, name: str, backward: bool) -> Response:
        content = await read_bytes(request)
        body = decode_forward_backward(content) if is_protobuf(request) else parse_body(content)
        fields = Fields(body)
        model_id, seq = _model_and_seq(fields)
        requests.find(model_id)
        with requests.checking(model_id, seq, is_pass=backward):
            backward = not fields.boolean("forward_only", not backward)
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
        requests.find(model_id)
        with requests.checking(model_id, seq):
            adam = read_adam(fields.object("adam_params", Fields({}, "adam_params")))
            fields.done()
        return answer(requests.submit(model_id, seq, "optim_step", body, lambda models: models.step(model_id, adam)))

    async def save(request: Request, kind: str) -> Response:
        body = await read_body(request)
        fields = Fields(body)
        model_id, seq = _model_and_seq(fields)
        model = requests.find(model_id)
        with requests.checking(model_id, seq):
            sampler_seq = None
            if kind == "sampler_weights":
                sampler_seq = fields.integer("sampling_session_seq_id", 0, LARGEST_SEQ, None)
            if sampler_seq is None:
                name = check_name(fields.string("path", f"seq-{seq or model.highest_seq + 1}"), "path")
            else:
                name = f"sampling-session-{sampler_seq}"
            ttl = fields.number("ttl_seconds", 0, LONGEST_TTL_SECONDS, None if sampler_seq is None else UNNAMED_SECONDS)
            overwrite = fields.boolean("overwrite", False)
            metadata = body.get("user_metadata") if fields.object("user_metadata", None) else None
            _only_snapshots(fields)
            fields.done()
            if overwrite and kind == "sampler_weights":
                raise FieldError(
                    "overwrite", True, "is not supported for sampler weights: a published version never changes"
                )
            ref, sampler = CheckpointRef(model_id, kind, name), None
            if sampler_seq is not None:
                sampler = sessions.add_sampler(model.session_id, sampler_seq, service.name, str(ref), None)

        def run(models: Models) -> Any:
            saved = models.save(model_id, ref, ttl, overwrite)
            if metadata is not None:
                service.store.amend(ref, user_metadata=metadata)
            if sampler is None:
                return saved
            service.store.amend(ref, unnamed=True)
            service.store.forget_unnamed(model_id, UNNAMED_KEPT)
            sampler.version = str(ref)
            return {"sampling_session_id": sampler.sampler_id}

        return answer(requests.submit(model_id, seq, kind, body, run))

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
        lora = requests.find(model_id).lora
        data = {
            "arch": service.compute.models.architecture.name,
            "model_name": service.name,
            "tokenizer_id": service.tokenizer,
        }
        info = {"type": "get_info", "model_id": model_id, "model_data": data, "model_name": service.name}
        return answer(info | {"is_lora": lora is not None, "lora_rank": lora and lora.rank})

    @app.post(f"{PREFIX}/retrieve_future")
    async def retrieve_future(request: Request) -> Response:
        found = await service.futures.retrieve(Fields(await read_body(request)).string("request_id"))
        if PROTOBUF in request.headers.get("accept", "") and (encoded := encode_result(found)) is not None:
            return Response(encoded, media_type=PROTOBUF)
        return answer(found)


def _checkpoint_to_load(fields: Fields) -> tuple[CheckpointRef, bool]:
    ref, optimizer = CheckpointRef.parse(fields.string("path"), "path"), fields.boolean("optimizer", False)
    if optimizer and ref.kind != "weights":
        raise FieldError(
            "path", str(ref), "must be a training checkpoint (…/weights/…): sampler weights have no optimiser state. "
            "Load them without, or load the model's last training checkpoint",
        )  # fmt: skip
    fields.ignore("weights_access_token", "type")
    return ref, optimizer


def _only_snapshots(fields: Fields) -> None:
    kind = fields.string("kind", "snapshot")
    if kind != "snapshot":
        raise FieldError(fields.path("kind"), kind, "must be 'snapshot': a published version never changes")


def _model_and_seq(fields: Fields) -> tuple[str, int | None]:
    fields.ignore("type")
    return fields.string("model_id"), fields.integer("seq_id", 1, LARGEST_SEQ, None)
