"""The official `tinker` SDK, unmodified, drives the engine as it drives the hosted service."""

from __future__ import annotations

import io
import pickle
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from engine.base.countdown_corpus import EOS, encode

from .conftest import NAME, REPOSITORY, Client, engine_process

tinker = pytest.importorskip("tinker", reason="the SDK needs Python 3.11 or newer: SKIPPED, nothing here was tested")
types = tinker.types

SECONDS = 30  # of patience with any one answer
ADAM = types.AdamParams(learning_rate=3e-3)
LESSON = "Use 4 9 3 to make 39\n9*4=36 left 3 36 to make 39\n3+36=39 is 39\n"
PROMPT = encode("Use 4 9 3 to make 39\n")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with engine_process(REPOSITORY / "engine/base/model", tmp_path_factory.mktemp("sdk")) as (client, _):
        yield client


@pytest.fixture(scope="module")
def service(engine: Client) -> Iterator[tinker.ServiceClient]:
    client = tinker.ServiceClient(base_url=engine.url, api_key="tml-any-key-will-do", user_metadata={"who": "test"})
    yield client
    client.close("success").result(SECONDS)


@pytest.fixture(scope="module")
def rest(engine: Client) -> tinker.RestClient:
    return tinker.RestClient(base_url=engine.url, api_key="tml-any-key-will-do")


@pytest.fixture(scope="module")
def base(service: tinker.ServiceClient) -> tinker.SamplingClient:
    return service.create_sampling_client(base_model=NAME).result(SECONDS)


def new_model(service: tinker.ServiceClient, rank: int = 0, **options) -> tinker.TrainingClient:
    """Rank 0 is how the SDK says that all parameters are to be trained."""
    return service.create_lora_training_client(NAME, rank=rank, **options).result(SECONDS)


def datum(text: str = LESSON, **inputs) -> types.Datum:
    full = [*encode(text), EOS]
    inputs = inputs or {"weights": np.ones(len(full) - 1, np.float32)}
    return types.Datum(
        model_input=types.ModelInput.from_ints(full[:-1]),
        loss_fn_inputs={"target_tokens": np.array(full[1:]), **inputs},
    )


def train(model, data, steps: int, loss: str = "cross_entropy", **config) -> list[float]:
    """The loss before each step; passes and steps are sent before anything is waited for."""
    sent = [(model.forward_backward(data, loss, config or None), model.optim_step(ADAM)) for _ in range(steps)]
    losses = []
    for passed, stepped in sent:
        losses.append(passed.result(SECONDS).metrics["loss:sum"])
        assert stepped.result(SECONDS).metrics["optimizer_steps:max"] > 0
    return losses


def sample(sampler, prompt=PROMPT, n: int = 1, include_prompt_logprobs=False, topk=0, **params):
    params = types.SamplingParams(**({"max_tokens": 16, "seed": 1} | params))
    return sampler.sample(
        types.ModelInput.from_ints(prompt), n, params, include_prompt_logprobs, topk_prompt_logprobs=topk
    ).result(SECONDS)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline


def greedy(sampler) -> list[int]:
    return sample(sampler, max_tokens=32, temperature=0).sequences[0].tokens


def rollout_data(base, advantages=(1.0, -1.0)) -> tuple[list[types.Datum], list[np.ndarray]]:
    """A group sampled from the base, and the sampler's log-probabilities of what was sampled."""
    data, sampled = [], []
    sequences = sample(base, n=len(advantages), max_tokens=12, temperature=3.0).sequences
    assert len({tuple(sequence.tokens) for sequence in sequences}) == len(advantages)
    for sequence, advantage in zip(sequences, advantages, strict=True):
        full, unseen = PROMPT + sequence.tokens, np.zeros(len(PROMPT) - 1, np.float32)
        inputs = {
            "target_tokens": np.array(full[1:]),
            "logprobs": np.concatenate([unseen, np.float32(sequence.logprobs)]),
            "advantages": np.concatenate([unseen, np.full(len(sequence.tokens), advantage, np.float32)]),
        }
        data.append(types.Datum(model_input=types.ModelInput.from_ints(full[:-1]), loss_fn_inputs=inputs))
        sampled.append(np.float32(sequence.logprobs))
    return data, sampled


# Sessions


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


# Training


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


@pytest.mark.parametrize("loss", ["importance_sampling", "ppo"])
def test_reinforcement_makes_good_samples_likelier_than_bad_ones(service, base, loss):
    data, sampled = rollout_data(base)
    model = new_model(service)
    first = model.forward_backward(data, loss).result(SECONDS)
    for output, logprobs in zip(first.loss_fn_outputs, sampled, strict=True):
        assert np.allclose(output["logprobs"].data[-len(logprobs) :], logprobs, atol=1e-4)
    # On policy every ratio is 1, so the loss is minus the sum of the advantages.
    advantages = sum(sum(d.loss_fn_inputs["advantages"].data) for d in data)
    assert first.metrics["loss:sum"] == pytest.approx(-advantages, abs=1e-3)
    model.optim_step(ADAM).result(SECONDS)
    bounds = {"clip_low_threshold": 0.9, "clip_high_threshold": 1.1} if loss != "importance_sampling" else None
    after = model.forward(data, loss, bounds).result(SECONDS)
    gains = [
        sum(new["logprobs"].data[-len(old) :]) - sum(old)
        for new, old in zip(after.loss_fn_outputs, sampled, strict=True)
    ]
    assert gains[0] > gains[1]
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


# Checkpoints


def test_a_restored_model_goes_on_where_the_saved_one_was(service):
    model = new_model(service)
    train(model, [datum()], 2)
    path = model.save_state("middle", user_metadata={"step": "2"}).result(SECONDS).path
    straight = train(model, [datum()], 3)
    resumed = service.create_training_client_from_state_with_optimizer(path).result(SECONDS)
    assert resumed.model_id != model.model_id
    assert train(resumed, [datum()], 3) == straight
    fresh = service.create_training_client_from_state(path).result(SECONDS)
    afresh = train(fresh, [datum()], 3)
    assert afresh[0] == straight[0] and afresh[1:] != straight[1:]
    loaded = new_model(service)
    with pytest.warns(FutureWarning):
        assert loaded.load_state_with_optimizer(path).result(SECONDS).path == path
    assert train(loaded, [datum()], 3) == straight


def test_runs_and_checkpoints_are_listed_changed_and_deleted(service, rest):
    model = new_model(service, user_metadata={"purpose": "listing"})
    state = model.save_state("a", ttl_seconds=3600, user_metadata={"step": "0"}).result(SECONDS).path
    weights = model.save_weights_for_sampler("b").result(SECONDS).path
    runs = rest.list_training_runs(limit=1).result(SECONDS)
    assert [run.training_run_id for run in runs.training_runs] == [model.model_id]
    assert runs.cursor.total_count > 1
    run = rest.get_training_run_by_tinker_path(state).result(SECONDS)
    assert run.base_model == NAME and run.user_metadata == {"purpose": "listing"}
    assert run.last_checkpoint.tinker_path == state and run.last_sampler_checkpoint.tinker_path == weights
    listed = {c.tinker_path: c for c in rest.list_checkpoints(model.model_id).result(SECONDS).checkpoints}
    assert list(listed) == [state, weights]
    assert [c.checkpoint_type for c in listed.values()] == ["training", "sampler"]
    assert listed[state].user_metadata == {"step": "0"} and listed[state].size_bytes > 1_000_000
    assert listed[state].expires_at is not None and listed[weights].expires_at is None
    assert rest.get_weights_info_by_tinker_path(state).result(SECONDS).base_model == NAME

    rest.set_checkpoint_ttl_from_tinker_path(state, None).result(SECONDS)
    rest.set_checkpoint_ttl_from_tinker_path(weights, 600).result(SECONDS)
    rest.publish_checkpoint_from_tinker_path(weights).result(SECONDS)
    changed = {c.tinker_path: c for c in rest.list_user_checkpoints().result(SECONDS).checkpoints}
    assert changed[state].expires_at is None and changed[weights].expires_at is not None
    assert changed[weights].public and not changed[state].public
    rest.unpublish_checkpoint_from_tinker_path(weights).result(SECONDS)
    rest.delete_checkpoint_from_tinker_path(state).result(SECONDS)
    (left,) = rest.list_checkpoints(model.model_id).result(SECONDS).checkpoints
    assert left.tinker_path == weights and not left.public
    with pytest.raises(tinker.NotFoundError):
        service.create_training_client_from_state(state).result(SECONDS)


def test_an_expired_checkpoint_cannot_be_loaded(service, rest):
    path = new_model(service).save_state("short").result(SECONDS).path
    rest.set_checkpoint_ttl_from_tinker_path(path, 0).result(SECONDS)
    for call in (service.create_training_client_from_state, rest.get_weights_info_by_tinker_path):
        with pytest.raises(tinker.NotFoundError, match="expired"):
            call(path).result(SECONDS)


def test_an_archive_is_a_tar_of_the_checkpoints_files(engine, service):
    """The SDK has no call for it any more; its earlier releases and other clients have."""
    model = new_model(service)
    model.save_weights_for_sampler("a").result(SECONDS)
    url = f"{engine.url}/api/v1/training_runs/{model.model_id}/checkpoints/sampler_weights/a/archive"

    class Kept(urllib.request.HTTPRedirectHandler):
        def http_error_302(self, request, answer, code, message, headers):
            assert "GMT" in headers["expires"]
            return super().http_error_302(request, answer, code, message, headers)

    with urllib.request.build_opener(Kept).open(url, timeout=SECONDS) as answer:
        content = answer.read()
        assert len(content) == int(answer.headers["content-length"])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = archive.getnames()
        assert {"model.safetensors", "config.json", "tokenizer.json", "meta.json"} <= set(names)
        original = (REPOSITORY / "engine/base/model/tokenizer.json").read_bytes()
        assert archive.extractfile("tokenizer.json").read() == original


# Sampling


def test_samples_follow_their_seed_and_say_why_they_ended(base):
    first, again = (sample(base, n=3, seed=7) for _ in range(2))
    other = sample(base, n=3, seed=8)
    tokens = [[s.tokens for s in response.sequences] for response in (first, again, other)]
    assert tokens[0] == tokens[1] != tokens[2]
    assert all(len(s.logprobs) == len(s.tokens) and max(s.logprobs) <= 0 for s in first.sequences)
    assert len({s.sequence_id for s in [*first.sequences, *again.sequences]}) == 6
    (short,) = sample(base, max_tokens=3).sequences
    assert short.stop_reason == "length" and len(short.tokens) == 3


def test_stops_may_be_texts_or_tokens(base):
    (free,) = sample(base, max_tokens=24).sequences
    newline, equals = encode("\n")[0], encode("=")[0]
    assert newline in free.tokens and equals in free.tokens
    for stop, token in (("\n", newline), (["\n", "}"], newline), ([equals], equals)):
        (stopped,) = sample(base, max_tokens=24, stop=stop).sequences
        assert stopped.stop_reason == "stop"
        assert stopped.tokens == free.tokens[: free.tokens.index(token) + 1]


def test_a_sampler_can_be_sent_to_another_process(base):
    copy = pickle.loads(pickle.dumps(base))
    assert sample(copy).sequences[0].tokens == sample(base).sequences[0].tokens


def test_an_abandoned_sample_stops_being_computed(engine, base):
    endless = types.SamplingParams(max_tokens=1000, stop=[0])
    waiting = base.sample(types.ModelInput.from_ints(PROMPT), 1000, endless)
    before = engine.ok("/astroflow/stats")["tokens_generated"]
    until(lambda: engine.ok("/astroflow/stats")["tokens_generated"] > before)
    waiting.future().cancel()
    until(lambda: (stats := engine.ok("/astroflow/stats"))["running"] + stats["queue_length"] == 0)
    assert engine.ok("/astroflow/stats")["tokens_generated"] - before < 1000 * 500


# Errors


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
