"""Noise depends on (seed, prompt, sample, position) only, and tokens follow the distribution that was asked for."""

import numpy as np
import torch

from engine.sampling import draw, noise_keys, uniforms


def drawn(logits, u, temperature=1.0, top_p=1.0, top_k=-1):
    rows = len(u)
    tokens, logprobs = draw(
        logits.expand(rows, -1), u, np.full(rows, temperature), np.full(rows, top_p), np.full(rows, top_k, np.int64)
    )
    return tokens.numpy(), logprobs.numpy()


def test_noise_is_uniform_and_differs_by_every_coordinate():
    keys = np.concatenate([noise_keys(seed, prompt, np.arange(8)) for seed in (0, 1, -5, 2**62) for prompt in range(8)])
    assert len(set(keys.tolist())) == len(keys)
    u = np.concatenate([uniforms(keys, np.full(len(keys), position)) for position in range(200)])
    assert len(set(u.tolist())) > 0.999 * len(u)
    assert u.min() >= 0 and u.max() < 1
    counts = np.histogram(u, 20, (0, 1))[0]
    assert np.abs(counts / len(u) - 1 / 20).max() < 0.005


def test_frequencies_are_the_probabilities():
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, -20.0])
    u = (np.arange(20_000) + 0.5) / 20_000
    for temperature in (1.0, 0.5, 2.0):
        tokens, logprobs = drawn(logits, u, temperature)
        shares = np.bincount(tokens, minlength=5) / len(u)
        assert np.abs(shares - torch.softmax(logits / temperature, 0).numpy()).max() < 1e-3
        # Reported log-probabilities are the policy's, not those of the tempered distribution.
        assert np.allclose(logprobs, torch.log_softmax(logits, 0).numpy()[tokens])


def test_temperature_zero_takes_the_likeliest_token_beside_rows_that_sample():
    logits = torch.tensor([[0.0, 1.0, 0.5]] * 2)
    tokens, _ = draw(logits, np.array([0.01, 0.01]), np.array([0.0, 1.0]), np.ones(2), np.full(2, -1))
    assert tokens.tolist() == [1, 0]


def test_filters_keep_the_likeliest_tokens():
    logits = torch.log(torch.tensor([0.1, 0.4, 0.2, 0.3]))
    u = (np.arange(2000) + 0.5) / 2000
    assert set(drawn(logits, u, top_k=2)[0]) == {1, 3}
    assert set(drawn(logits, u, top_p=0.65)[0]) == {1, 3}
    assert set(drawn(logits, u, top_p=0.75)[0]) == {1, 2, 3}
    assert set(drawn(logits, u, top_p=1e-6)[0]) == {1}


def test_a_token_of_probability_zero_is_never_drawn():
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf])
    assert set(drawn(logits, np.array([0.0, 1 - 2.0**-32]))[0]) == {1}
