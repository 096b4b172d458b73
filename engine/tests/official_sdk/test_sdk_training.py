"""The official SDK, unmodified, opens sessions and trains all parameters."""

from __future__ import annotations

import numpy as np
import pytest

from engine.base.countdown_corpus import encode

from ..conftest import NAME
from .support import ADAM, LESSON, PROMPT, SECONDS, datum, greedy, new_model, rollout_data, tinker, train


def test_it_opens_a_session_and_learns_what_the_server_offers(service, rest, base):
    (supported,) = rest.get_server_capabilities().result(SECONDS).supported_models
    assert (supported.model_name, supported.max_context_length) == (NAME, 1024)
    session = service.holder.get_session_id()
    assert session in rest.list_sessions().result(SECONDS).sessions
    model = new_model(service)
    found = rest.get_session(session).result(SECONDS)
    assert found.user_metadata == {"who": "test"}
    assert model.model_id in found.training_run_ids and base._sampling_session_id in found.sampler_ids
    sampler = rest.get_sampler(base._sampling_session_id).result(SECONDS)
    assert (sampler.base_model, sampler.model_path) == (NAME, None)


def test_a_finished_session_takes_no_more_models(engine):
    other = tinker.ServiceClient(base_url=engine.url, api_key="tml-another")
    session = other.holder.get_session_id()
    other.close("success").result(SECONDS)
    status, body = engine.call("/api/v1/create_model", {"session_id": session, "base_model": NAME})
    assert status == 410 and "finished" in body["detail"]


def test_supervised_steps_lower_the_loss_and_what_was_learned_can_be_sampled(service, base):
    model = new_model(service)
    losses = train(model, [datum()] * 4, 12)
    assert losses[-1] < 0.2 * losses[0]
    assert model.get_info().is_lora is False
    assert model.get_tokenizer().decode(PROMPT) == "Use 4 9 3 to make 39\n"
    path = model.save_weights_for_sampler("learned").result(SECONDS).path
    assert path == f"tinker://{model.model_id}/sampler_weights/learned"
    sampler = service.create_sampling_client(model_path=path).result(SECONDS)
    lesson = encode(LESSON)[len(PROMPT) :]
    assert greedy(sampler)[: len(lesson)] == lesson != greedy(base)[: len(lesson)]
    assert greedy(model.create_sampling_client(path).result(SECONDS)) == greedy(sampler)


def test_a_pass_gives_the_logprobs_of_the_targets(service):
    model = new_model(service)
    result = model.forward_backward([datum(), datum("Use 1 2 to make 3\n")], "cross_entropy").result(SECONDS)
    first, second = (output["logprobs"] for output in result.loss_fn_outputs)
    assert first.shape == [len(encode(LESSON))] and second.shape == [len(encode("Use 1 2 to make 3\n"))]
    assert result.metrics["loss:sum"] == pytest.approx(-sum(first.data) - sum(second.data), rel=1e-4)


def test_a_batch_sent_in_several_requests_is_one_batch(service, monkeypatch):
    texts = [LESSON, "Use 1 2 to make 3\n", "Use 7 5 to make 12\n7+5=12", "Use 8 2 to make 16\n", "Use 6 6\n"]
    whole, split = new_model(service), new_model(service)
    expected = whole.forward_backward([datum(text) for text in texts], "cross_entropy").result(SECONDS)
    config = service.holder._client_config
    monkeypatch.setattr(service.holder, "_client_config", config.model_copy(update={"fwdbwd_max_chunk_len": 2}))
    result = split.forward_backward([datum(text) for text in texts], "cross_entropy").result(SECONDS)
    assert [o["logprobs"].shape for o in result.loss_fn_outputs] == [[len(encode(text))] for text in texts]
    assert result.metrics == pytest.approx(expected.metrics, rel=1e-5)
    norms = [model.optim_step(ADAM).result(SECONDS).metrics["grad_norm:mean"] for model in (whole, split)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)


@pytest.mark.parametrize("loss", ["importance_sampling", "ppo", "cispo"])
def test_reinforcement_makes_good_samples_likelier_than_bad_ones(service, base, loss):
    data, sampled = rollout_data(base)
    model = new_model(service)
    first = model.forward_backward(data, loss).result(SECONDS)
    for output, logprobs in zip(first.loss_fn_outputs, sampled, strict=True):
        assert np.allclose(output["logprobs"].data[-len(logprobs) :], logprobs, atol=1e-4)
    # On policy every ratio is 1, so the loss is minus the sum of the advantages. CISPO's weighs log-probabilities.
    gained = [
        np.array(d.loss_fn_inputs["advantages"].data) * (output["logprobs"].data if loss == "cispo" else 1)
        for d, output in zip(data, first.loss_fn_outputs, strict=True)
    ]
    assert first.metrics["loss:sum"] == pytest.approx(-np.concatenate(gained).sum(), abs=1e-3)
    model.optim_step(ADAM).result(SECONDS)
    bounds = {"clip_low_threshold": 0.9, "clip_high_threshold": 1.1} if loss != "importance_sampling" else None
    after = model.forward(data, loss, bounds).result(SECONDS)
    gains = [
        sum(new["logprobs"].data[-len(old) :]) - sum(old)
        for new, old in zip(after.loss_fn_outputs, sampled, strict=True)
    ]
    assert gains[0] > gains[1]
    if loss != "cispo":
        assert after.metrics["loss:sum"] < first.metrics["loss:sum"]


def test_forward_leaves_no_gradient(service):
    model = new_model(service)
    seen = model.forward([datum()], "cross_entropy").result(SECONDS)
    with pytest.raises(tinker.RequestFailedError, match="no gradient to apply"):
        model.optim_step(ADAM).result(SECONDS)
    again = model.forward_backward([datum()], "cross_entropy").result(SECONDS)
    assert again.loss_fn_outputs[0]["logprobs"].data == seen.loss_fn_outputs[0]["logprobs"].data


def test_a_custom_loss_trains_as_the_same_loss_does_when_built_in(service):
    def negative_likelihood(data, logprobs):
        loss = -sum((lp * d.loss_fn_inputs["weights"].to_torch()).sum() for d, lp in zip(data, logprobs, strict=True))
        return loss, {"tokens": float(sum(len(lp) for lp in logprobs))}

    custom, built_in = new_model(service), new_model(service)
    result = custom.forward_backward_custom([datum()] * 2, negative_likelihood).result(SECONDS)
    expected = built_in.forward_backward([datum()] * 2, "cross_entropy").result(SECONDS)
    assert result.metrics["tokens"] == 2 * len(encode(LESSON))
    assert result.loss_fn_outputs[0]["logprobs"].data == expected.loss_fn_outputs[0]["logprobs"].data
    norms = [model.optim_step(ADAM).result(SECONDS).metrics["grad_norm:mean"] for model in (custom, built_in)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
