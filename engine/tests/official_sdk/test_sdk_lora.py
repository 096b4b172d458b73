"""The official SDK trains adapters, samples them, and goes on from their checkpoints."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.request

import numpy as np
import pytest
from safetensors.torch import load

from engine.base.countdown_corpus import EOS, encode

from ..conftest import NAME
from .support import (
    ADAM,
    LESSON,
    PROMPT,
    SECONDS,
    datum,
    greedy,
    new_model,
    rollout_data,
    sample,
    tinker,
    train,
    types,
)  # fmt: skip

LEARNED = encode(LESSON)[len(PROMPT) :]


def publish(model, name: str) -> str:
    return model.save_weights_for_sampler(name).result(SECONDS).path


def sampler_of(service, path: str) -> tinker.SamplingClient:
    return service.create_sampling_client(model_path=path).result(SECONDS)


def files(engine, path: str) -> dict[str, bytes]:
    """A checkpoint's files, from its archive."""
    run, kind, name = path.removeprefix("tinker://").split("/")
    url = f"{engine.url}/api/v1/training_runs/{run}/checkpoints/{kind}/{name}/archive"
    with urllib.request.urlopen(url, timeout=SECONDS) as answer, tarfile.open(fileobj=io.BytesIO(answer.read())) as tar:
        return {name: tar.extractfile(name).read() for name in tar.getnames()}


def test_an_adapter_learns_and_the_base_stays_as_it_was(engine, service, base, rest):
    before = greedy(base)
    model = new_model(service, rank=8, seed=1)
    info = model.get_info()
    assert (info.is_lora, info.lora_rank) == (True, 8)
    fresh = publish(model, "fresh")
    assert greedy(sampler_of(service, fresh)) == before
    losses = train(model, [datum()] * 4, 16)
    assert losses[-1] < 0.2 * losses[0]
    learned = publish(model, "learned")
    sampler = sampler_of(service, learned)
    assert greedy(sampler)[: len(LEARNED)] == LEARNED
    assert greedy(base) == before != greedy(sampler)
    (choice,) = engine.complete(PROMPT, model=learned, temperature=0)
    assert choice["token_ids"][: len(LEARNED)] == LEARNED

    first, last = (load(files(engine, path)["adapter_model.safetensors"]) for path in (fresh, learned))
    assert first.keys() == last.keys() and all(name.startswith("base_model.model.") for name in first)
    assert not any(matrix.any() for name, matrix in first.items() if ".lora_B." in name)
    assert all((last[name] - first[name]).abs().max() > 0 for name in first)

    kept = rest.get_weights_info_by_tinker_path(learned).result(SECONDS)
    assert (kept.is_lora, kept.lora_rank, kept.train_attn, kept.train_mlp, kept.train_unembed) == (
        True, 8, True, True, True,
    )  # fmt: skip
    run = rest.get_training_run_by_tinker_path(learned).result(SECONDS)
    assert (run.is_lora, run.lora_rank) == (True, 8)


def test_the_seed_and_the_chosen_layers_make_the_adapter(engine, service):
    def fresh(**options):
        return files(engine, publish(new_model(service, rank=4, **options), "fresh"))

    one, same, other = fresh(seed=1), fresh(seed=1), fresh(seed=2)
    assert one["adapter_model.safetensors"] == same["adapter_model.safetensors"] != other["adapter_model.safetensors"]
    only = fresh(train_mlp=False, train_unembed=False)
    assert json.loads(only["adapter_config.json"])["target_modules"] == ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert all(".self_attn." in name for name in load(only["adapter_model.safetensors"]))


def test_the_archive_of_an_adapter_is_what_peft_reads(engine, service):
    model = new_model(service, rank=4)
    train(model, [datum()], 1)
    state = model.save_state("state").result(SECONDS).path
    sampler = files(engine, publish(model, "sampler"))
    names = {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json", "meta.json"}
    assert set(sampler) == names and set(files(engine, state)) == names | {"optimizer.safetensors"}
    config = json.loads(sampler["adapter_config.json"])
    assert (config["peft_type"], config["r"], config["lora_alpha"], config["bias"]) == ("LORA", 4, 32, "none")
    parameters = sum(matrix.numel() for matrix in load(sampler["adapter_model.safetensors"]).values())
    moments = load(files(engine, state)["optimizer.safetensors"])
    assert {name: moment.numel() for name, moment in moments.items()} == {"moment1": parameters, "moment2": parameters}


@pytest.mark.parametrize("loss", ["importance_sampling", "ppo", "cispo"])
def test_reinforcement_of_an_adapter_makes_good_samples_likelier(service, base, loss):
    data, sampled = rollout_data(base)
    model = new_model(service, rank=8, seed=1)
    model.forward_backward(data, loss).result(SECONDS)
    model.optim_step(ADAM).result(SECONDS)
    after = model.forward(data, loss).result(SECONDS)
    gains = [
        sum(new["logprobs"].data[-len(old) :]) - sum(old)
        for new, old in zip(after.loss_fn_outputs, sampled, strict=True)
    ]
    assert gains[0] > 0 > gains[1]


def test_sampling_training_and_compute_logprobs_agree_about_an_adapter(service):
    model = new_model(service, rank=8, seed=1)
    train(model, [datum()], 3)
    sampler = sampler_of(service, publish(model, "a"))
    (sequence,) = sample(sampler, max_tokens=20, temperature=2.0).sequences
    full = PROMPT + sequence.tokens
    inputs = {"target_tokens": np.array(full[1:]), "weights": np.ones(len(full) - 1, np.float32)}
    seen = types.Datum(model_input=types.ModelInput.from_ints(full[:-1]), loss_fn_inputs=inputs)
    (output,) = model.forward([seen], "cross_entropy").result(SECONDS).loss_fn_outputs
    trained = output["logprobs"].data
    asked = sampler.compute_logprobs(types.ModelInput.from_ints(full)).result(SECONDS)
    assert np.allclose(trained[-len(sequence.tokens) :], sequence.logprobs, atol=1e-4)
    assert asked[0] is None and np.allclose(asked[1:], trained, atol=1e-5)


def test_a_restored_adapter_goes_on_where_the_saved_one_was(service):
    model = new_model(service, rank=8, seed=1)
    train(model, [datum()], 2)
    path, weights = model.save_state("middle").result(SECONDS).path, publish(model, "middle")
    straight = train(model, [datum()], 3)
    resumed = service.create_training_client_from_state_with_optimizer(path).result(SECONDS)
    assert (resumed.get_info().is_lora, resumed.get_info().lora_rank) == (True, 8)
    assert train(resumed, [datum()], 3) == straight
    loaded = new_model(service, rank=8, seed=2)
    with pytest.warns(FutureWarning):
        loaded.load_state_with_optimizer(path).result(SECONDS)
    assert train(loaded, [datum()], 3) == straight
    for source in (path, weights):
        afresh = train(service.create_training_client_from_state(source).result(SECONDS), [datum()], 3)
        assert afresh[0] == straight[0] and afresh[1:] != straight[1:]
    with pytest.raises(tinker.BadRequestError, match="sampler weights have no optimiser state"):
        service.create_training_client_from_state_with_optimizer(weights).result(SECONDS)


def test_a_checkpoint_of_another_kind_is_one_clear_error(service):
    paths = {rank: new_model(service, rank=rank).save_state("a").result(SECONDS).path for rank in (0, 4)}
    for rank, source, message in (
        (8, 4, r"path: the checkpoint is of LoRA of rank 4 \(attn, mlp, unembed\), the model trains LoRA of rank 8"),
        (0, 4, "the checkpoint is of LoRA of rank 4 .*, the model trains all parameters"),
        (4, 0, "the checkpoint is of all parameters, the model trains LoRA of rank 4"),
    ):
        model = new_model(service, rank=rank)
        with pytest.warns(FutureWarning), pytest.raises(tinker.BadRequestError, match=message):
            model.load_state(paths[source]).result(SECONDS)
        # It is as usable as before.
        train(model, [datum()], 1)


def test_what_an_adapter_cannot_be_is_refused_by_name(service):
    for options, message in (
        ({"rank": 97}, "lora_config.rank: may be at most 96"),
        ({"rank": -1}, "lora_config.rank"),
        ({"rank": 0, "train_mlp": False}, "lora_config.train_mlp: must be true with rank 0"),
    ):
        with pytest.raises(tinker.BadRequestError, match=message):
            new_model(service, **options)
    model = new_model(service, rank=4)
    outside = datum(target_tokens=np.full(len(encode(LESSON)), EOS + 100_000))
    with pytest.raises(tinker.BadRequestError, match=r"target_tokens.data\[0\]"):
        model.forward_backward([outside], "cross_entropy").result(SECONDS)
    with pytest.raises(tinker.RequestFailedError, match="an earlier forward_backward failed"):
        model.optim_step(ADAM).result(SECONDS)
    assert train(model, [datum()], 2)[1] > 0


@pytest.mark.parametrize("rank", [0, 8])
def test_a_loop_samples_what_it_has_just_trained_without_naming_it(service, rest, rank):
    model = new_model(service, rank=rank, seed=1)
    first = model.save_weights_and_get_sampling_client().result(SECONDS)
    before = greedy(first)
    train(model, [datum()] * 4, 16)
    second = model.save_weights_and_get_sampling_client().result(SECONDS)
    assert greedy(second)[: len(LEARNED)] == LEARNED
    assert greedy(first) == before
    assert second.get_base_model() == NAME
    assert rest.list_checkpoints(model.model_id).result(SECONDS).checkpoints == []
