"""What the tests of the official SDK share. They are skipped where it is not installed."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from engine.base.countdown_corpus import EOS, encode

from ..conftest import NAME

tinker = pytest.importorskip("tinker", reason="the SDK needs Python 3.11 or newer: SKIPPED, nothing here was tested")
types = tinker.types

SECONDS = 30  # of patience with any one answer
ADAM = types.AdamParams(learning_rate=3e-3)
LESSON = "Use 4 9 3 to make 39\n9*4=36 left 3 36 to make 39\n3+36=39 is 39\n"
PROMPT = encode("Use 4 9 3 to make 39\n")


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
