"""What the official SDK is told about requests that cannot be served."""

from __future__ import annotations

import numpy as np
import pytest

from ..conftest import NAME
from .support import ADAM, PROMPT, SECONDS, datum, new_model, tinker, train, types


def test_an_unknown_model_is_refused_by_name(service):
    with pytest.raises(tinker.BadRequestError, match=f"must be '{NAME}'"):
        service.create_lora_training_client("no/such-model", rank=0).result(SECONDS)
    with pytest.raises(tinker.BadRequestError, match=f"must be '{NAME}'"):
        service.create_sampling_client(base_model="no/such-model").result(SECONDS)
    with pytest.raises(tinker.NotFoundError, match="does not exist"):
        service.create_sampling_client(model_path="tinker://x/sampler_weights/y").result(SECONDS)
    with pytest.raises(tinker.BadRequestError, match="adamw"):
        new_model(service, optimizer=types.DimuonOptimizerConfig())


def test_wrong_data_are_refused_and_the_model_goes_on(service):
    model = new_model(service)
    short = datum(weights=np.ones(3, np.float32))
    outside = types.Datum(
        model_input=types.ModelInput.from_ints([5, 100_000]), loss_fn_inputs={"target_tokens": np.array([5, 6])}
    )
    for bad, loss, message in (
        (short, "cross_entropy", r"data\[0\].loss_fn_inputs.weights.data"),
        (outside, "cross_entropy", r"data\[0\].model_input.chunks\[0\].tokens\[1\].*100000"),
        (datum(), "dro", "loss_fn"),
        (datum(), "ppo", "loss_fn_inputs.logprobs: is required"),
    ):
        with pytest.raises(tinker.BadRequestError, match=message):
            model.forward_backward([bad], loss).result(SECONDS)
    # The step sent behind a refused pass must not step; the next batch is its own.
    refused, stepped = model.forward_backward([short], "cross_entropy"), model.optim_step(ADAM)
    with pytest.raises(tinker.BadRequestError):
        refused.result(SECONDS)
    with pytest.raises(tinker.RequestFailedError, match="an earlier forward_backward failed"):
        stepped.result(SECONDS)
    assert train(model, [datum()], 2)[1] > 0


def test_a_name_that_is_taken_fails_at_once(service):
    model = new_model(service)
    model.save_state("a").result(SECONDS)
    with pytest.raises(tinker.RequestFailedError, match="exists already"):
        model.save_state("a").result(SECONDS)
    assert model.save_state("a", overwrite=True).result(SECONDS).path.endswith("/weights/a")


def test_what_the_engine_has_not_is_refused_by_name(base):
    prompt, params = types.ModelInput.from_ints(PROMPT), types.SamplingParams(max_tokens=1)
    with pytest.raises(tinker.BadRequestError, match="topk_sample_logprobs"):
        base.sample(prompt, 1, params, topk_sample_logprobs=2).result(SECONDS)
    with pytest.raises(tinker.BadRequestError, match="at most 1023"):
        base.sample(types.ModelInput.from_ints(PROMPT * 200), 1, params).result(SECONDS)


def test_a_request_sent_twice_is_executed_once(engine, service):
    from tinker.proto.request_conv import forward_backward_request_to_proto

    model = new_model(service)
    model.forward_backward([datum()], "cross_entropy").result(SECONDS)

    def request(loss: str) -> bytes:
        data = types.ForwardBackwardInput(data=[datum()], loss_fn=loss)
        return forward_backward_request_to_proto(
            types.ForwardBackwardRequest(forward_backward_input=data, model_id=model.model_id, seq_id=1)
        ).SerializeToString()

    headers = {"content-type": "application/x-protobuf"}
    status, first = engine.call("/api/v1/forward_backward", request("cross_entropy"), headers=headers)
    assert (status, engine.call("/api/v1/forward_backward", request("cross_entropy"), headers=headers)) == (
        200, (200, first),
    )  # fmt: skip
    alone = new_model(service)
    alone.forward_backward([datum()], "cross_entropy").result(SECONDS)
    norms = [m.optim_step(ADAM).result(SECONDS).metrics["grad_norm:mean"] for m in (model, alone)]
    assert norms[0] == norms[1]
    status, _ = engine.call("/api/v1/forward_backward", request("ppo"), headers=headers)
    assert status == 400
    other = {"model_id": model.model_id, "seq_id": 1}
    assert engine.call("/api/v1/optim_step", other)[0] == 409
