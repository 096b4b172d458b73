"""The forward in plain torch is the model of ``transformers``, and so is what is saved."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from engine.base.countdown_corpus import VOCABULARY
from engine.llama import fuse, unfuse
from engine.policy import load_base, views
from engine.trainer import Datum, Loss, TrainState


@pytest.fixture(scope="module")
def reference(model_folder):
    return AutoModelForCausalLM.from_pretrained(model_folder)


def random_prompts(count, low=3, high=40, seed=0):
    rng = np.random.default_rng(seed)
    # Not the padding token: transformers gives its embedding no gradient.
    return [rng.integers(1, len(VOCABULARY), rng.integers(low, high)) for _ in range(count)]


def reference_logprobs(model, ids):
    with torch.no_grad():
        return torch.log_softmax(model(torch.from_numpy(ids)[None]).logits[0], -1)


def pass_over(state, data):
    """All micro-batches, one after the other."""
    passes = state.forward_backward(data, Loss("cross_entropy"))
    outcomes = [piece() for piece in next(passes)]
    with pytest.raises(StopIteration) as end:
        passes.send(outcomes)
    return end.value.value


def gpt2(tmp_path):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(VOCABULARY), n_embd=16, n_layer=2, n_head=2, n_positions=128)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["llama", "any other model"])
@torch.inference_mode()
def test_decoding_gives_the_logprobs_of_transformers_while_rows_join_and_leave(kind, model_folder, tmp_path):
    folder = model_folder if kind == "llama" else gpt2(tmp_path)
    reference = AutoModelForCausalLM.from_pretrained(folder)
    architecture, parameters = load_base(folder)
    cache = architecture.new_cache(parameters.weights, 64, None)
    rng = np.random.default_rng(1)
    sequences: list[np.ndarray] = []
    logits = torch.zeros(0, len(VOCABULARY))

    def check():
        for row, ids in enumerate(sequences):
            expected = reference_logprobs(reference, ids)[-1]
            assert (torch.log_softmax(logits[row], -1) - expected).abs().max() < 1e-4

    for round_ in range(3):
        if cache.can_admit():
            prompts, counts = random_prompts(5, seed=round_), [1, 3, 1, 2, 1]
            logits = torch.cat((logits, cache.admit(prompts, counts)))
            sequences += [p for p, c in zip(prompts, counts, strict=True) for _ in range(c)]
            check()
        for _ in range(3):
            tokens = rng.integers(0, len(VOCABULARY), len(sequences))
            logits = cache.forward(torch.from_numpy(tokens))
            sequences = [np.append(ids, token) for ids, token in zip(sequences, tokens, strict=True)]
        check()
        # Row 1 and the last row leave; the one before the last takes the place of row 1.
        cache.remove(np.array([1]), np.array([len(sequences) - 2]), len(sequences) - 2)
        sequences[1] = sequences[-2]
        del sequences[-2:]
        order = [0, len(logits) - 2, *range(2, len(logits) - 2)]
        logits = logits[order]
        check()


@torch.inference_mode()
def test_the_window_can_move_back_many_times(model_folder, reference):
    architecture, parameters = load_base(model_folder)
    cache = architecture.new_cache(parameters.weights, 4, None)
    (long, short) = random_prompts(2, 5, 6)
    cache.admit([long], [1])
    for token in random_prompts(1, 110, 111)[0]:
        logits = cache.forward(torch.tensor([token]))
        long = np.append(long, token)
    cache.admit([short], [1])
    for token in random_prompts(1, 100, 101)[0][: 120 - len(long)]:
        logits = cache.forward(torch.tensor([token, token]))
        long, short = np.append(long, token), np.append(short, token)
    cache.remove(np.array([0]), np.array([1]), 1)
    for token in random_prompts(1, 100, 101)[0]:
        logits = cache.forward(torch.tensor([token]))
        short = np.append(short, token)
    expected = reference_logprobs(reference, short)[-1]
    assert (torch.log_softmax(logits[0], -1) - expected).abs().max() < 1e-4


@torch.inference_mode()
def test_rows_can_be_added_beside_a_sequence_longer_than_half_of_the_width(model_folder, reference):
    architecture, parameters = load_base(model_folder)
    cache = architecture.new_cache(parameters.weights, 64, None)
    (long, short) = random_prompts(2, 50, 51)
    cache.admit([long], [1])
    for token in random_prompts(1, 61, 62)[0]:
        cache.forward(torch.tensor([token]))
        long = np.append(long, token)
    cache.admit([short], [50])
    for token in random_prompts(1, 10, 11)[0]:
        logits = cache.forward(torch.full((51,), int(token)))
        long, short = np.append(long, token), np.append(short, token)
    for row, ids in ((0, long), (1, short), (50, short)):
        expected = reference_logprobs(reference, ids)[-1]
        assert (torch.log_softmax(logits[row], -1) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("kind", ["llama", "any other model"])
def test_training_sees_the_logprobs_and_gradients_of_transformers(kind, model_folder, tmp_path):
    folder = model_folder if kind == "llama" else gpt2(tmp_path)
    reference = AutoModelForCausalLM.from_pretrained(folder).eval()
    architecture, parameters = load_base(folder)
    state = TrainState(architecture, parameters)
    rng = np.random.default_rng(0)
    data = [Datum(p[:-1], p[1:], rng.random(len(p) - 1).astype(np.float32)) for p in random_prompts(12)]
    total, logprobs = pass_over(state, data)
    loss = torch.zeros(())
    for datum, got in zip(data, logprobs, strict=True):
        expected = torch.log_softmax(reference(torch.from_numpy(datum.ids)[None]).logits[0], -1)
        expected = expected.gather(1, torch.from_numpy(datum.targets)[:, None])[:, 0]
        assert np.abs(got - expected.detach().numpy()).max() < 1e-4
        loss = loss - (expected * torch.from_numpy(datum.weights)).sum()
    assert total == pytest.approx(loss.item(), rel=1e-4)
    loss.backward()
    gradients = {name: p.grad for name, p in reference.named_parameters()}
    ours = views(state.gradient, {name: w.shape for name, w in parameters.weights.items()})
    expected = fuse(gradients, architecture.shape) if kind == "llama" else gradients
    for name, gradient in expected.items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-4), name


def test_fused_weights_come_apart_into_what_they_were(model_folder, reference):
    architecture, parameters = load_base(model_folder)
    original = {name: w for name, w in reference.state_dict().items() if name != "lm_head.weight"}
    restored = unfuse(parameters.weights, architecture.shape)
    assert restored.keys() == original.keys()
    assert all(torch.equal(restored[name], original[name]) for name in original)
