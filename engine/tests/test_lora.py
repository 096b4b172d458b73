"""Adapters: what they start as, what is trained of them, and that their files are PEFT's."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from engine.base.countdown_corpus import VOCABULARY
from engine.checkpoints import CheckpointRef, CheckpointStore
from engine.errors import ApiError, FieldError
from engine.fields import Fields
from engine.lora import ALPHA, Lora
from engine.models import Models
from engine.policy import load_base
from engine.prompt_scores import PromptScores
from engine.tinker_data import read_lora
from engine.trainer import Adam, Datum, Loss

ADAM = Adam(3e-3, 0.9, 0.95, 1e-8, 0.0, 0.0)
KINDS = ["llama", "llama untied", "gpt2", "qwen3"]
EVERYTHING = Lora(4)


@pytest.fixture(scope="module", params=KINDS)
def folder(request, model_folder, tmp_path_factory):
    """A tied and an untied model of our own decoder, and two that `transformers` computes: one of them with weights the
    other way round, one tied."""
    if request.param == "llama":
        return model_folder
    torch.manual_seed(0)
    size = {"vocab_size": len(VOCABULARY), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    size |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "head_dim": 8}
    if request.param == "llama untied":
        model = LlamaForCausalLM(LlamaConfig(**size, tie_word_embeddings=False))
    elif request.param == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(**size, tie_word_embeddings=True))
    else:
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(VOCABULARY), n_embd=16, n_layer=2, n_head=2, n_positions=128))
    path = tmp_path_factory.mktemp("model")
    model.save_pretrained(path)
    return path


@pytest.fixture
def models(folder, tmp_path):
    return Models("base", *load_base(folder), CheckpointStore(tmp_path, folder))


def some_data(count=5, seed=0):
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(1, len(VOCABULARY), rng.integers(5, 20)) for _ in range(count)]
    return [Datum(p[:-1], p[1:], np.ones(len(p) - 1, np.float32)) for p in prompts]


def pass_over(models, model_id, data, backward=True):
    running = models.forward_backward(model_id, data, Loss("cross_entropy"), backward)
    outcomes = [piece() for piece in next(running)]
    with pytest.raises(StopIteration) as end:
        running.send(outcomes)
    result = end.value.value
    return result["metrics"]["loss:sum"], [output["logprobs"]["data"] for output in result["loss_fn_outputs"]]


def train(models, model_id, steps=3, seed=0):
    losses = []
    for _ in range(steps):
        losses.append(pass_over(models, model_id, some_data(seed=seed))[0])
        models.step(model_id, ADAM)
    return losses


def save(models, model_id, kind="sampler_weights", name="a"):
    ref = CheckpointRef(model_id, kind, name)
    models.save(model_id, ref, None, False)
    return ref


def flat(models, model_id):
    return models._live[model_id].parameters.flat


def test_a_fresh_adapter_is_exactly_the_base_and_follows_its_seed(models):
    models.create("full")
    models.create("lora", EVERYTHING, 7)
    assert np.array_equal(
        np.concatenate(pass_over(models, "full", some_data())[1]),
        np.concatenate(pass_over(models, "lora", some_data())[1]),
    )
    models.create("same", EVERYTHING, 7)
    models.create("other", EVERYTHING, 8)
    assert torch.equal(flat(models, "same"), flat(models, "lora"))
    assert not torch.equal(flat(models, "other"), flat(models, "lora"))


@pytest.mark.parametrize("parts", [("attn",), ("mlp",), ("unembed",), ("attn", "mlp", "unembed")])
def test_only_the_chosen_layers_learn_and_the_base_stays_as_it_is(models, parts):
    base = models._base.flat.clone()
    lora = Lora(4, **{f"train_{part}": part in parts for part in ("attn", "mlp", "unembed")})
    models.create("m", lora, 1)
    matrices = models._live["m"].parameters.weights
    before = {name: matrix.clone() for name, matrix in matrices.items()}
    losses = train(models, "m", 6)
    assert losses[-1] < losses[0]
    assert torch.equal(models._base.flat, base)
    # A moves from the second step on: at first B is zero, and so is A's gradient.
    assert all(not torch.equal(matrix, before[name]) for name, matrix in matrices.items())
    merged, whole = models._live["m"].weights(), models._base.weights
    changed = {name for name in merged if name not in whole or not torch.equal(merged[name], whole[name])}
    assert changed == {layer.weight for layer in lora.layers(models.architecture.linear_layers)}


def test_the_gradient_is_that_of_the_formula(models):
    """Of W + alpha / rank * B A, by the gradient of the merged weights: dB = s dW A^T, dA = s B^T dW."""
    models.create("m", EVERYTHING, 1)
    train(models, "m", 2)
    state = models._live["m"]
    merged = {name: weight.clone().requires_grad_() for name, weight in state.weights().items()}
    (datum,) = some_data(1)
    ids, real = torch.from_numpy(datum.ids)[None], torch.ones(1, len(datum.ids), dtype=torch.bool)
    logits = models.architecture.logits(merged, ids, real, real)
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(datum.targets), reduction="sum").backward()
    pass_over(models, "m", [datum])
    offset, rows, scale = 0, dict.fromkeys(merged, 0), ALPHA / 4
    for layer in models.architecture.linear_layers:
        b, a = (state.parameters.weights[f"base_model.model.{layer.module}.lora_{m}.weight"] for m in "BA")
        whole = merged[layer.weight].grad
        whole = whole.T if layer.transposed else whole[rows[layer.weight] : rows[layer.weight] + layer.outputs]
        rows[layer.weight] += layer.outputs
        for expected in (scale * b.T @ whole, scale * whole @ a.T):
            got = state.gradient[offset : offset + expected.numel()].view(expected.shape)
            assert torch.allclose(got, expected, rtol=1e-3, atol=1e-4), layer.module
            offset += expected.numel()
    assert offset == len(state.gradient)


def test_what_is_published_samples_as_training_sees_it(models):
    models.create("m", EVERYTHING, 1)
    train(models, "m")
    path = str(save(models, "m"))
    data = some_data(3)
    seen = pass_over(models, "m", data, backward=False)[1]
    read_again = Models("base", models.architecture, models._base, models.store)
    for served in (models, read_again):
        weights = served.version(path)
        for datum, expected in zip(data, seen, strict=True):
            scores = PromptScores(len(datum.ids), 3, True)
            prompt = np.append(datum.ids[:1], datum.targets)
            with torch.inference_mode():
                scores.compute(models.architecture, weights, prompt)
                cache = models.architecture.new_cache(weights, 4, None)
                decoded = [cache.admit([datum.ids[:1]], [1])]
                decoded += [cache.forward(torch.from_numpy(datum.ids[at : at + 1])) for at in range(1, len(datum.ids))]
            assert np.abs(scores.logprobs - expected).max() < 1e-4
            logprobs = torch.log_softmax(torch.cat(decoded), -1)
            own = logprobs[torch.arange(len(datum.ids)), torch.from_numpy(datum.targets)]
            assert np.abs(own.numpy() - expected).max() < 1e-4
            assert np.abs(logprobs.topk(3).values.numpy() - scores.top_logprobs).max() < 1e-4


def test_the_saved_folder_is_an_adapter_of_the_base_in_peft_terms(models, folder):
    """Merged by hand from the files alone, into the model that transformers opens."""
    models.create("m", EVERYTHING, 1)
    train(models, "m")
    saved = models.store.folder(save(models, "m"))
    config = json.loads((saved / "adapter_config.json").read_text())
    matrices = load_file(saved / "adapter_model.safetensors")
    assert not (saved / "model.safetensors").exists() and not (saved / "config.json").exists()
    model = AutoModelForCausalLM.from_pretrained(config["base_model_name_or_path"])
    untouched = set(matrices)
    for name, module in model.named_modules():
        a, b = (f"base_model.model.{name}.lora_{m}.weight" for m in "AB")
        if a in matrices:
            assert any(name == target or name.endswith(f".{target}") for target in config["target_modules"])
            delta = config["lora_alpha"] / config["r"] * matrices[b] @ matrices[a]
            delta = delta.T if config["fan_in_fan_out"] and not isinstance(module, torch.nn.Linear) else delta
            module.weight = torch.nn.Parameter(module.weight + delta)  # a tied head gets a weight of its own
            untouched -= {a, b}
    assert not untouched
    (datum,) = some_data(1)
    with torch.no_grad():
        logits = model(torch.from_numpy(datum.ids)[None]).logits[0]
    expected = -torch.nn.functional.cross_entropy(logits, torch.from_numpy(datum.targets), reduction="none")
    assert np.abs(pass_over(models, "m", [datum], backward=False)[1][0] - expected.numpy()).max() < 1e-4


def test_names_that_would_match_other_layers_are_written_whole(models):
    for lora in (Lora(2, train_mlp=False), Lora(2, train_attn=False, train_unembed=False)):
        models.create("m", lora, 1)
        targets = models._live["m"].adapter.peft_config("base")["target_modules"]
        chosen = {layer.module for layer in lora.layers(models.architecture.linear_layers)}
        matched = {
            layer.module
            for layer in models.architecture.linear_layers
            if any(layer.module == target or layer.module.endswith(f".{target}") for target in targets)
        }
        assert matched == chosen


def test_a_restored_adapter_goes_on_bit_for_bit(models):
    models.create("m", EVERYTHING, 1)
    train(models, "m")
    state, weights = save(models, "m", "weights"), save(models, "m")
    optimizer = models.store.optimizer(state)
    assert len(optimizer["moment1"]) == len(flat(models, "m")) < len(models._base.flat)
    straight = train(models, "m", seed=1)
    models.create("again", EVERYTHING, 2)
    models.load("again", state, optimizer=True)
    assert train(models, "again", seed=1) == straight
    assert torch.equal(flat(models, "again"), flat(models, "m"))
    # Weights that were published for sampling have no optimiser state, and begin at the same place.
    models.create("afresh", EVERYTHING, 3)
    models.load("afresh", weights, optimizer=False)
    afresh = train(models, "afresh", seed=1)
    assert afresh[0] == straight[0] and afresh[1:] != straight[1:]


@pytest.mark.parametrize("other", [None, Lora(2), Lora(4, train_mlp=False)])
def test_an_adapter_does_not_fit_into_a_model_of_another_kind(models, other):
    models.create("m", EVERYTHING, 1)
    models.create("n", other, 1)
    for source, target in (("m", "n"), ("n", "m")):
        before = flat(models, target).clone()
        with pytest.raises(ApiError, match="the checkpoint is of") as error:
            models.load(target, save(models, source, "weights", f"from-{source}"), optimizer=True)
        assert error.value.status == 400
        assert torch.equal(flat(models, target), before)


def test_a_file_with_other_layers_is_refused(models):
    models.create("m", EVERYTHING, 1)
    adapter = models._live["m"].adapter
    matrices = dict(models._live["m"].parameters.weights)
    name = next(iter(matrices))
    with pytest.raises(ApiError, match="does not fit this model"):
        adapter.check(matrices | {"base_model.model.nothing.lora_A.weight": torch.zeros(4, 4)})
    with pytest.raises(ApiError, match="lora_A.weight is"):
        adapter.check(matrices | {name: torch.zeros(4, 3)})


def test_what_cannot_be_trained_is_refused_by_name(models):
    layers = models.architecture.linear_layers

    def read(**config):
        return read_lora(Fields({"lora_config": config}), layers)

    assert read_lora(Fields({}), layers) == read(rank=0) == (None, 0)
    assert read(rank=4, seed=5, train_mlp=False) == (Lora(4, train_mlp=False), 5)
    assert read(rank=4)[1] != read(rank=4)[1]
    nothing = {"train_attn": False, "train_mlp": False, "train_unembed": False}
    for config, path in (
        ({"rank": 1000}, "lora_config.rank"),
        ({"rank": -1}, "lora_config.rank"),
        ({"rank": 0, "train_mlp": False}, "lora_config.train_mlp"),
        ({"rank": 4, "train_mlp": "yes"}, "lora_config.train_mlp"),
        ({"rank": 4, "layers": [1]}, "lora_config.layers"),
        ({"rank": 4} | nothing, "lora_config"),
    ):
        with pytest.raises(FieldError) as error:
            read(**config)
        assert error.value.path == path
