"""The training protocol: losses, order, deduplication, checkpoints, and refusals that name the field."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.base.countdown_corpus import encode
from engine.trainer import Datum, Loss, loss_sum

from .conftest import NAME, text_datum

ADAM = {"learning_rate": 1e-2}


def pass_over(client, model, seq, data, loss="cross_entropy", **config):
    inputs = {"data": data, "loss_fn": loss} | ({"loss_fn_config": config} if config else {})
    return client.training("forward_backward", model_id=model, seq_id=seq, forward_backward_input=inputs)


def greedy(client, model):
    return [c["token_ids"] for c in client.complete("Use 4 9 3 to make 39\n", model=model, temperature=0)]


def test_training_learns_and_a_published_version_is_what_was_trained(client):
    model = client.new_model()
    losses, seq = [], 1
    for _ in range(30):
        losses.append(pass_over(client, model, seq, [text_datum()] * 4)["metrics"]["loss:sum"])
        metrics = client.training("optim_step", model_id=model, seq_id=seq + 1, adam_params=ADAM)["metrics"]
        seq += 2
    assert losses[-1] < 0.1 * losses[0]
    assert metrics["optimizer_steps:max"] == 30
    path = client.training("save_weights_for_sampler", model_id=model, seq_id=seq, path="v1")["path"]
    assert path == f"tinker://{model}/sampler_weights/v1"
    assert client.ok(f"/v1/models/{path}")["id"] == path
    assert client.ok("/v1/models/" + path.replace("/", "%2F").replace(":", "%3A"))["id"] == path
    expected = encode("9*4=36 left 3 36 to make 39\n")
    assert greedy(client, path)[0][: len(expected)] == expected
    assert greedy(client, NAME)[0][: len(expected)] != expected


def test_a_published_version_opens_with_transformers(client, service):
    model = client.new_model()
    pass_over(client, model, 1, [text_datum()])
    client.training("optim_step", model_id=model, seq_id=2, adam_params=ADAM)
    client.training("save_weights_for_sampler", model_id=model, seq_id=3, path="v1")
    folder = service.store._root / model / "sampler_weights" / "v1"
    ids = encode("Use 4 9 3 to make 39\n")
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([ids])).logits[0, -1]
    (choice,) = client.complete(ids, model=f"tinker://{model}/sampler_weights/v1", max_tokens=1)
    expected = torch.log_softmax(logits, -1)[choice["token_ids"][0]].item()
    assert choice["logprobs"]["token_logprobs"][0] == pytest.approx(expected, abs=1e-4)


def test_forward_backward_reports_the_logprobs_of_the_weights_before_the_step(client):
    model = client.new_model()
    (choice,) = client.complete("Use 4 9 3 to make 39\n")
    full = encode("Use 4 9 3 to make 39\n") + choice["token_ids"]
    sampled = choice["logprobs"]["token_logprobs"]
    prompt = [0.0] * (len(full) - 1 - len(sampled))
    inputs = {
        "target_tokens": {"data": full[1:], "dtype": "int64"},
        "logprobs": {"data": prompt + sampled, "dtype": "float32"},
        "advantages": {"data": prompt + [0.5] * len(sampled), "dtype": "float32"},
    }
    datum = {"model_input": {"chunks": [{"type": "encoded_text", "tokens": full[:-1]}]}, "loss_fn_inputs": inputs}
    for seq, loss in enumerate(("importance_sampling", "ppo"), 1):
        result = pass_over(client, model, seq, [datum], loss)
        (output,) = result["loss_fn_outputs"]
        assert np.allclose(output["logprobs"]["data"][len(prompt) :], sampled, atol=1e-4)
        # On policy every ratio is 1, so the loss is minus the sum of the advantages.
        assert result["metrics"]["loss:sum"] == pytest.approx(-0.5 * len(sampled), rel=1e-3)
    inputs = {"data": [text_datum()], "loss_fn": "cross_entropy"}
    client.training("forward", model_id=model, seq_id=3, forward_input=inputs)
    client.training("optim_step", model_id=model, seq_id=4)


@pytest.mark.parametrize("name", ["cross_entropy", "importance_sampling", "ppo", "cispo"])
def test_losses_and_their_gradients_are_the_formulas(name):
    rng = np.random.default_rng(0)
    new = torch.tensor(-rng.random(40) * 3, dtype=torch.float64, requires_grad=True)
    old = torch.tensor(new.detach().numpy() + rng.normal(0, 0.5, 40))
    advantage = torch.tensor(rng.normal(0, 1, 40) * (rng.random(40) < 0.8))
    arrays = [(a[:15].numpy(), a[15:].numpy()) for a in (advantage, old)]
    data = [Datum(np.zeros(len(a)), np.zeros(len(a)), a, o, a) for a, o in zip(*arrays, strict=True)]
    got = loss_sum(Loss(name, 0.8, 1.3), new, data)
    gradient = torch.autograd.grad(got, new)[0]
    ratio = torch.exp(new - old)
    expected = {
        "cross_entropy": lambda: -(advantage * new).sum(),
        "importance_sampling": lambda: -(ratio * advantage).sum(),
        "ppo": lambda: -torch.minimum(ratio * advantage, torch.clamp(ratio, 0.8, 1.3) * advantage).sum(),
        "cispo": lambda: -(torch.clamp(ratio, 0.8, 1.3).detach() * advantage * new).sum(),
    }[name]()
    assert got.item() == pytest.approx(expected.item())
    assert torch.allclose(gradient, torch.autograd.grad(expected, new)[0])


def test_a_prompt_position_without_sampler_logprob_cannot_spoil_the_loss():
    data = [Datum(np.zeros(2), np.zeros(2), None, np.array([-1e4, -1.0]), np.array([0.0, 1.0]))]
    new = torch.tensor([-1.0, -1.0], requires_grad=True)
    loss = loss_sum(Loss("importance_sampling"), new, data)
    loss.backward()
    assert loss.item() == -1 and new.grad.tolist() == [0, -1]


def test_gradients_accumulate_until_a_step_and_adamw_is_that_of_torch(client, service):
    model = client.new_model()
    state = service.compute.models._live[model]
    before = state.parameters.flat.clone()
    first, second = text_datum(), text_datum("Use 1 2 to make 3\n1+2=3 is 3\nAnswer boxed{1+2}")
    adam = {"learning_rate": 3e-3, "beta1": 0.8, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.1, "grad_clip_norm": 1.0}
    parameter = before.clone().requires_grad_()
    reference = torch.optim.AdamW([parameter], lr=3e-3, betas=(0.8, 0.9), eps=1e-8, weight_decay=0.1)
    seq = 1
    for _ in range(3):
        pass_over(client, model, seq, [first])
        pass_over(client, model, seq + 1, [second])
        gradient = state.gradient.clone()
        parameter.grad = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        reference.step()
        metrics = client.training("optim_step", model_id=model, seq_id=seq + 2, adam_params=adam)["metrics"]
        assert metrics["grad_norm:mean"] == pytest.approx(norm.item(), rel=1e-5)
        assert torch.allclose(state.parameters.flat, parameter, atol=1e-6)
        seq += 3
    whole, parts = client.new_model(), client.new_model()
    pass_over(client, whole, 1, [first, second])
    pass_over(client, parts, 1, [second])
    pass_over(client, parts, 2, [first])
    live = service.compute.models._live
    assert torch.allclose(live[whole].gradient, live[parts].gradient, rtol=1e-3, atol=1e-3)


def test_requests_run_in_the_order_of_their_sequence_numbers(client):
    model = client.new_model()
    step = {"model_id": model, "seq_id": 2, "adam_params": ADAM}
    early = client.ok("/api/v1/optim_step", step)["request_id"]
    inputs = {"data": [text_datum()], "loss_fn": "cross_entropy"}
    late = client.ok("/api/v1/forward_backward", {"model_id": model, "seq_id": 3, "forward_backward_input": inputs})
    before = pass_over(client, model, 1, [text_datum()])["metrics"]["loss:sum"]
    assert "metrics" in client.retrieve(early)
    assert client.retrieve(late["request_id"])["metrics"]["loss:sum"] < before


def test_a_request_sent_twice_runs_once(client, service):
    model = client.new_model()
    body = {
        "model_id": model,
        "seq_id": 1,
        "forward_backward_input": {"data": [text_datum()], "loss_fn": "cross_entropy"},
    }
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: client.ok("/api/v1/forward_backward", body)["request_id"], range(8)))
    assert len(ids) == 1
    client.retrieve(ids.pop())
    once = client.new_model()
    pass_over(client, once, 1, [text_datum()])
    live = service.compute.models._live
    assert torch.equal(live[model].gradient, live[once].gradient)


def test_a_sequence_number_with_another_body_is_a_conflict(client):
    model = client.new_model()
    client.training("save_weights", model_id=model, seq_id=1, path="a")
    status, body = client.call("/api/v1/save_weights", {"model_id": model, "seq_id": 1, "path": "b"})
    assert status == 409 and "seq_id" in body["detail"]
    status, _ = client.call("/api/v1/save_weights_for_sampler", {"model_id": model, "seq_id": 1, "path": "a"})
    assert status == 409
    again = client.training("save_weights", model_id=model, seq_id=1, path="a")
    assert again["path"].endswith("/weights/a")


def test_a_model_is_created_once_per_session_and_number(client):
    body = {"session_id": "s", "model_seq_id": 0, "base_model": NAME}
    first, second = (client.ok("/api/v1/create_model", body) for _ in range(2))
    assert first == second
    assert client.call("/api/v1/create_model", body | {"user_metadata": {"a": 1}})[0] == 409


def test_a_failed_pass_makes_the_step_behind_it_fail_and_nothing_else(client, service):
    model = client.new_model()
    flat = service.compute.models._live[model].parameters.flat
    before = flat.clone()
    tokens = len(text_datum()["loss_fn_inputs"]["target_tokens"]["data"])
    bad = text_datum(logprobs=[-1e30] * tokens, advantages=[1e30] * tokens)
    failed = pass_over(client, model, 1, [bad], "importance_sampling")
    assert failed["category"] == "user" and "not finite" in failed["error"]
    step = client.training("optim_step", model_id=model, seq_id=2, adam_params=ADAM)
    assert "not finite" in step["error"]
    assert torch.equal(flat, before)
    pass_over(client, model, 3, [text_datum()])
    assert "metrics" in client.training("optim_step", model_id=model, seq_id=4, adam_params=ADAM)


def test_a_step_without_a_gradient_is_refused(client):
    failed = client.training("optim_step", model_id=client.new_model(), seq_id=1, adam_params=ADAM)
    assert failed["category"] == "user" and "forward_backward first" in failed["error"]


def test_loading_without_the_optimiser_starts_a_fresh_one(client, service):
    model = client.new_model()
    pass_over(client, model, 1, [text_datum()])
    client.training("optim_step", model_id=model, seq_id=2, adam_params=ADAM)
    path = client.training("save_weights", model_id=model, seq_id=3, path="a")["path"]
    live, steps = service.compute.models._live, {}
    for optimizer in (True, False):
        loaded = client.new_model()
        client.training("load_weights", model_id=loaded, seq_id=1, path=path, optimizer=optimizer)
        assert torch.equal(live[loaded].parameters.flat, live[model].parameters.flat)
        assert bool(live[loaded].moment1.any()) is optimizer
        steps[optimizer] = live[loaded].steps
    assert steps == {True: 1, False: 0}
    created = client.training("load_weights", session_id="s", path=path, optimizer=True)["model_id"]
    assert torch.equal(live[created].moment2, live[model].moment2)
    status, body = client.call("/api/v1/load_weights", {"model_id": model, "seq_id": 4, "path": path})
    assert status == 400 and "first request" in body["detail"]


def test_a_name_is_used_once_unless_overwriting_is_asked_for(client):
    model = client.new_model()
    client.training("save_weights", model_id=model, seq_id=1, path="a")
    # Not a 409, which the SDK takes for trouble that passes, and repeats for minutes.
    taken = client.training("save_weights", model_id=model, seq_id=2, path="a")
    assert taken["category"] == "user" and "exists already" in taken["error"]
    saved = client.training("save_weights", model_id=model, seq_id=3, path="a", overwrite=True)
    listed = client.ok(f"/api/v1/training_runs/{model}/checkpoints")["checkpoints"]
    assert [c["tinker_path"] for c in listed] == [saved["path"]]
    assert client.ok("/api/v1/weights_info", {"tinker_path": saved["path"]}) == {"base_model": NAME, "is_lora": False}
    assert client.call(f"/api/v1/training_runs/{model}/checkpoints/weights/a", method="DELETE")[0] == 204
    assert client.call("/api/v1/weights_info", {"tinker_path": saved["path"]})[0] == 404


def test_an_unloaded_model_is_not_loaded_any_more(client):
    model = client.new_model()
    assert client.ok("/api/v1/get_info", {"model_id": model})["is_lora"] is False
    client.training("unload_model", model_id=model)
    status, body = client.call("/api/v1/optim_step", {"model_id": model, "seq_id": 1})
    assert status == 404 and f"Model '{model}' not loaded" in body["detail"]


def test_sampling_with_futures_gives_what_completions_give(client):
    ids = encode("Use 4 9 3 to make 39\n")
    prompt = {"chunks": [{"type": "encoded_text", "tokens": ids[:4]}, {"type": "encoded_text", "tokens": ids[4:]}]}
    params = {"max_tokens": 24, "seed": 1}
    body = {"base_model": NAME, "prompt": prompt, "num_samples": 3, "sampling_params": params, "type": "sample"}
    request = client.ok("/api/v1/asample", body, headers={"x-astroflow-call": "asample/1"})
    sequences = client.retrieve(request["request_id"])["sequences"]
    choices = client.complete(ids, n=3)
    assert [s["tokens"] for s in sequences] == [c["token_ids"] for c in choices]
    assert np.allclose(sequences[0]["logprobs"], choices[0]["logprobs"]["token_logprobs"], atol=1e-5)
    assert [s["stop_reason"] for s in sequences] == [c["finish_reason"] for c in choices]
    usage = client.ok("/astroflow/usage?prefix=asample/")
    assert usage["completion_tokens"] == sum(len(s["tokens"]) for s in sequences)
    stop = sequences[0]["tokens"][1]
    stopped = client.training("asample", **(body | {"sampling_params": params | {"stop": [stop]}}))["sequences"][0]
    assert stopped["stop_reason"] == "stop" and stopped["tokens"][-1] == stop and len(stopped["tokens"]) <= 2
    failed = client.training("asample", **(body | {"base_model": "other"}))
    assert failed["category"] == "user" and "does not exist" in failed["error"]


def test_a_prompt_is_scored_in_json_as_the_protocol_has_it(client):
    ids = encode("Use 4 9 3 to make 39\n")
    prompt = {"chunks": [{"type": "encoded_text", "tokens": ids}]}
    body = {"base_model": NAME, "prompt": prompt, "sampling_params": {"max_tokens": 1}, "prompt_logprobs": True}
    plain = client.training("asample", **body)
    assert plain["prompt_logprobs"][0] is None and "topk_prompt_logprobs" not in plain
    whole = client.training("asample", **body, topk_prompt_logprobs=2, num_samples=100)
    assert whole["prompt_logprobs"] == plain["prompt_logprobs"] and len(whole["sequences"]) == 100
    assert whole["topk_prompt_logprobs"][0] is None
    assert all(len(row) == 2 and row[0][1] >= row[1][1] for row in whole["topk_prompt_logprobs"][1:])
    for change, path in (
        ({"prompt_logprobs_last_n": len(ids)}, "prompt_logprobs_last_n"),
        ({"prompt_logprobs": False, "prompt_logprobs_last_n": 1}, "prompt_logprobs_last_n"),
        ({"topk_prompt_logprobs": -1}, "topk_prompt_logprobs"),
    ):
        status, refusal = client.call("/api/v1/asample", body | change)
        assert (status, refusal["path"]) == (400, path)


def with_inputs(**changes):
    datum = text_datum()
    for name, data in changes.items():
        datum["loss_fn_inputs"][name] = {"data": data}
    return {"forward_backward_input": {"data": [text_datum(), datum], "loss_fn": "cross_entropy"}}


FB, LONG = "forward_backward_input", len(text_datum()["loss_fn_inputs"]["target_tokens"]["data"])


@pytest.mark.parametrize(
    ("kind", "fields", "path"),
    [
        ("forward_backward", {"seq_id": 0}, "seq_id"),
        ("forward_backward", {"seq_id": "1"}, "seq_id"),
        ("forward_backward", {FB: None}, FB),
        ("forward_backward", {FB: {"loss_fn": "dro", "data": [text_datum()]}}, f"{FB}.loss_fn"),
        ("forward_backward", {FB: {"loss_fn": "cross_entropy", "data": []}}, f"{FB}.data"),
        (
            "forward_backward",
            {FB: {"loss_fn": "ppo", "data": [text_datum()], "loss_fn_config": {"clip_low_threshold": 2}}},
            f"{FB}.loss_fn_config.clip_low_threshold",
        ),
        (
            "forward_backward",
            {FB: {"loss_fn": "cispo", "data": [text_datum()], "loss_fn_config": {"clip_high_threshold": 0.5}}},
            f"{FB}.loss_fn_config.clip_high_threshold",
        ),
        ("forward_backward", {FB: {"loss_fn": "ppo", "data": [text_datum()]}}, f"{FB}.data[0].loss_fn_inputs.logprobs"),
        ("forward_backward", with_inputs(weights=[1.0]), f"{FB}.data[1].loss_fn_inputs.weights.data"),
        ("forward_backward", with_inputs(weights=[None] * LONG), f"{FB}.data[1].loss_fn_inputs.weights.data[0]"),
        (
            "forward_backward",
            with_inputs(weights=[1.0, 1e300] + [1.0] * (LONG - 2)),
            f"{FB}.data[1].loss_fn_inputs.weights.data[1]",
        ),
        (
            "forward_backward",
            with_inputs(target_tokens=[1, 2, -1] + [1] * (LONG - 3)),
            f"{FB}.data[1].loss_fn_inputs.target_tokens.data[2]",
        ),
        ("forward_backward", with_inputs(mask=[1.0] * LONG), f"{FB}.data[1].loss_fn_inputs.mask"),
        ("optim_step", {"adam_params": {"learning_rate": "big"}}, "adam_params.learning_rate"),
        ("optim_step", {"adam_params": {"beta1": 1}}, "adam_params.beta1"),
        ("optim_step", {"adam_params": {"lr": 1}}, "adam_params.lr"),
        ("save_weights", {"path": "a/b"}, "path"),
        ("save_weights", {"path": "../a"}, "path"),
        ("save_weights", {"path": "a", "ttl_seconds": -1}, "ttl_seconds"),
        ("save_weights", {"sampling_session_seq_id": 1}, "sampling_session_seq_id"),
        ("save_weights_for_sampler", {"sampling_session_seq_id": 1, "path": "a"}, "path"),
        ("save_weights_for_sampler", {"sampling_session_seq_id": 1, "kind": "inflight"}, "kind"),
        ("load_weights", {"path": "somewhere"}, "path"),
        ("load_weights", {"path": "tinker://x/sampler_weights/y", "optimizer": True}, "path"),
    ],
)
def test_a_refusal_names_the_field_and_uses_up_no_sequence_number(client, kind, fields, path):
    model = client.new_model()
    body = {"model_id": model, "seq_id": 1}
    status, answer = client.call(f"/api/v1/{kind}", body | fields)
    assert status == 400
    assert answer["path"] == path
    assert "metrics" in pass_over(client, model, 1, [text_datum()])


def test_other_refusals(client):
    def refusal(kind, body):
        status, answer = client.call(f"/api/v1/{kind}", body)
        return status, answer["path"]

    lora = {"session_id": "s", "lora_config": {"rank": 1000}}
    assert refusal("create_model", lora) == (400, "lora_config.rank")
    assert refusal("create_model", {"session_id": "s", "base_model": "other"}) == (400, "base_model")
    assert refusal("load_weights", {"session_id": "s", "path": "tinker://x/weights/y"}) == (404, "path")
    assert refusal("retrieve_future", {"request_id": "req-unknown"}) == (410, "request_id")
    assert refusal("load_weights", {"session_id": "s", "path": "tinker://x/sampler_weights/y"}) == (404, "path")
    assert refusal("weights_info", {"tinker_path": "tinker://x/weights/y"}) == (404, "tinker_path")
    prompt = {"chunks": [{"type": "encoded_text", "tokens": [5]}]}
    assert refusal("asample", {"prompt": prompt}) == (400, "model_path")
    assert refusal("asample", {"prompt": {"chunks": [{"type": "image"}]}, "base_model": NAME}) == (
        400,
        "prompt.chunks[0].type",
    )
    assert client.call("/api/v1/optim_step", b"\x08\x01", headers={"content-type": "application/x-protobuf"})[0] == 415
    assert client.ok("/api/v1/get_server_capabilities")["full_finetune"] is True
    assert client.ok("/api/v1/client/config", {"sdk_version": "x"})["pjwt_auth_enabled"] is False
    assert client.ok("/api/v1/healthz") == {"status": "ok"}
    session = client.ok("/api/v1/create_session", {"tags": []})["session_id"]
    assert client.ok("/api/v1/session_heartbeat", {"session_id": session})
