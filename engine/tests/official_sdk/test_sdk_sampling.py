"""The official SDK samples, and asks how likely a text is."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from engine.base.countdown_corpus import encode

from .support import LESSON, PROMPT, SECONDS, datum, new_model, sample, types, until


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


def test_it_says_how_likely_a_prompt_is(service, base):
    tokens = encode(LESSON)
    prompt = types.ModelInput.from_ints(tokens)
    logprobs = base.compute_logprobs(prompt).result(SECONDS)
    assert logprobs[0] is None and len(logprobs) == len(tokens)
    model = new_model(service)
    seen = model.forward([datum()], "cross_entropy").result(SECONDS).loss_fn_outputs[0]["logprobs"].data
    assert np.allclose(logprobs[1:], seen[:-1], atol=1e-5)
    last = base.compute_logprobs(prompt, prompt_logprobs_last_n=5).result(SECONDS)
    assert last[:-5] == [None] * (len(tokens) - 5) and np.allclose(last[-5:], logprobs[-5:], atol=1e-5)
    assert base.compute_logprobs(types.ModelInput.from_ints(tokens[:1])).result(SECONDS) == [None]


def test_it_says_what_would_have_been_likelier(base):
    tokens = encode(LESSON)
    response = sample(base, tokens, n=2, include_prompt_logprobs=True, topk=3)
    assert len(response.sequences) == 2
    rows = response.topk_prompt_logprobs
    assert rows[0] is None and [len(row) for row in rows[1:]] == [3] * (len(tokens) - 1)
    for token, logprob, row in zip(tokens[1:], response.prompt_logprobs[1:], rows[1:], strict=True):
        assert [p for _, p in row] == sorted((p for _, p in row), reverse=True)
        if token in dict(row):
            assert dict(row)[token] == pytest.approx(logprob, abs=1e-5)
        else:
            assert logprob <= row[-1][1]
    assert sample(base, tokens, topk=2).prompt_logprobs is None
    # The likeliest token at the end of a prompt is the one that is taken at temperature 0.
    end = sample(base, [*tokens, tokens[0]], topk=1).topk_prompt_logprobs[-1][0][0]
    assert sample(base, tokens, max_tokens=1, temperature=0).sequences[0].tokens == [end]
