"""The completions endpoint: order, noise, stops, limits, and refusals that name the field."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.base.countdown_corpus import EOS, decode, encode

from .conftest import NAME, POSITIONS

PROMPT = "Use 4 9 3 to make 39\n"
PROMPTS = ["Use 4 9 3 to make 39\n", "Use 1 2 to make 3\n", "7*8="]


def tokens(choices):
    return [choice["token_ids"] for choice in choices]


def test_a_choice_has_text_tokens_and_logprobs_that_agree(client):
    for choice in client.complete(PROMPT, n=20):
        ids, logprobs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
        assert choice["text"] == decode(ids)
        assert len(logprobs) == len(ids) <= 24 and all(logprob <= 0 for logprob in logprobs)
        assert (choice["finish_reason"] == "stop") == (ids[-1] == EOS)
        assert choice["finish_reason"] == "stop" or len(ids) == 24


def test_logprobs_are_those_of_transformers_at_temperature_one(client, model_folder):
    (choice,) = client.complete(PROMPT, temperature=0.7, top_k=50)
    ids = encode(PROMPT) + choice["token_ids"]
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(model_folder)(torch.tensor([ids])).logits[0]
    start = len(encode(PROMPT))
    expected = torch.log_softmax(logits, -1)[range(start - 1, len(ids) - 1), ids[start:]]
    assert torch.allclose(torch.tensor(choice["logprobs"]["token_logprobs"]), expected, atol=1e-4)


def test_the_same_request_gives_the_same_tokens_alone_and_in_a_crowd(client):
    alone = client.complete(PROMPTS, n=3, seed=7)
    with ThreadPoolExecutor(25) as pool:
        crowd = [pool.submit(client.complete, PROMPT, n=2, seed=100 + i, max_tokens=5 + i) for i in range(50)]
        among = client.complete(PROMPTS, n=3, seed=7)
        lengths = {len(ids) for future in crowd for ids in tokens(future.result())}
    assert tokens(among) == tokens(alone)
    assert len(lengths) > 10


def test_choices_are_prompt_major_and_a_sample_does_not_depend_on_n(client):
    choices = client.complete(PROMPTS, n=3)
    assert [choice["index"] for choice in choices] == list(range(9))
    assert [c["prompt_token_ids"] for c in choices] == [encode(p) for p in PROMPTS for _ in range(3)]
    assert tokens(client.complete(PROMPTS, n=1)) == tokens(choices)[::3]
    assert tokens(client.complete([PROMPTS[0]], n=3)) == tokens(choices)[:3]


def test_more_completions_than_slots_wait_for_their_turn(client):
    choices = client.complete(PROMPT, n=200, max_tokens=4)
    assert tokens(choices)[:64] == tokens(client.complete(PROMPT, n=64, max_tokens=4))
    assert len({tuple(ids) for ids in tokens(choices)}) > 100


def test_a_prompt_may_be_text_or_token_ids_or_lists_of_either(client):
    expected = tokens(client.complete(PROMPT))
    for prompt in ([PROMPT], encode(PROMPT), [encode(PROMPT)]):
        assert tokens(client.complete(prompt)) == expected


def test_usage_counts_each_prompt_once(client):
    body = {"model": NAME, "prompt": PROMPTS, "n": 4, "max_tokens": 3, "seed": 1}
    answer = client.ok("/v1/completions", body)
    prompt_tokens = sum(len(encode(prompt)) for prompt in PROMPTS)
    usage = answer["usage"]
    assert usage["prompt_tokens"] == prompt_tokens
    assert usage["total_tokens"] == prompt_tokens + usage["completion_tokens"]
    assert re.fullmatch(r"astroflow-engine-torch-\d+(\.\w+)+", answer["system_fingerprint"])
    assert all("token_ids" not in choice and choice["logprobs"] is None for choice in answer["choices"])


def test_temperature_zero_is_greedy_and_needs_no_seed(client):
    choices = client.complete(PROMPT, n=3, temperature=0, seed=None)
    assert len({tuple(ids) for ids in tokens(choices)}) == 1


@pytest.mark.parametrize("stop", ["9", ["=", "*"], "1", ["18", "7", " "]])
def test_a_stop_string_ends_a_completion_where_it_would_have_appeared(client, stop):
    free = client.complete(PROMPT, n=40)
    for keep in (True, False):
        stopped = client.complete(PROMPT, n=40, stop=stop, include_stop_str_in_output=keep)
        assert any(choice["stop_reason"] is not None for choice in stopped)
        for one, whole in zip(stopped, free, strict=True):
            assert whole["token_ids"][: len(one["token_ids"])] == one["token_ids"]
            found = [(whole["text"].find(s), s) for s in ([stop] if isinstance(stop, str) else stop)]
            found = sorted((at, s) for at, s in found if at >= 0)
            assert one["stop_reason"] == (found[0][1] if found else None)
            if found:
                at, string = found[0]
                assert one["finish_reason"] == "stop"
                assert one["text"] == whole["text"][: at + len(string) if keep else at]
            else:
                assert one["text"] == whole["text"]


def test_models_are_listed_and_found_by_name(client):
    assert [model["id"] for model in client.ok("/v1/models")["data"]][0] == NAME
    assert client.ok(f"/v1/models/{NAME}")["max_model_len"] == POSITIONS


def test_an_unknown_model_is_404_and_the_message_lists_what_exists(client):
    for status, body in (
        client.call("/v1/completions", {"model": "tinker://x/sampler_weights/y", "prompt": "1"}),
        client.call("/v1/models/tinker://x/sampler_weights/y"),
    ):
        assert status == 404
        assert "Model 'tinker://x/sampler_weights/y' does not exist" in body["error"]["message"]
        assert NAME in body["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["1", ""]}, "prompt[1]"),
        ({"prompt": [1, "2"]}, "prompt[1]"),
        ({"prompt": [[1], [2, 1.5]]}, "prompt[1][1]"),
        ({"prompt": [[1], [2, 100000]]}, "prompt[1][1]"),
        ({"prompt": [[1], []]}, "prompt[1]"),
        ({"prompt": [True, False]}, "prompt[0]"),
        ({"prompt": [1] * POSITIONS}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": POSITIONS}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 1025}, "n"),
        ({"n": 1000, "prompt": ["1"] * 1000}, "n"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": 1.5}, "top_k"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": ""}, "stop[0]"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"seed": 1.5}, "seed"),
        ({"logprobs": 5}, "logprobs"),
        ({"echo": True}, "echo"),
        ({"stream": True}, "stream"),
        ({"return_token_ids": 1}, "return_token_ids"),
        ({"tempreature": 1}, "tempreature"),
    ],
)
def test_a_refusal_names_the_field(client, fields, param):
    status, body = client.call("/v1/completions", {"model": NAME, "prompt": "1", "max_tokens": 5} | fields)
    assert status == 400
    assert body["error"]["param"] == param
    assert body["error"]["message"].startswith(param)


def test_a_body_that_is_not_json_is_refused(client):
    assert client.call("/v1/completions", b"{")[0] == 400
    assert client.call("/v1/completions", b"[1]")[0] == 400
    assert client.call("/nowhere")[0] == 404


def test_a_call_is_journalled_under_its_id(client):
    headers = {"x-astroflow-call": "stage/p1/0/expand", "x-astroflow-attempt": "2"}
    choices = client.complete(PROMPT, n=5, headers=headers)
    usage = client.ok("/astroflow/usage?prefix=stage/p1/")
    completion_tokens = sum(map(len, tokens(choices)))
    assert usage["calls"] == 1 and usage["prompt_tokens"] == len(encode(PROMPT))
    assert usage["completion_tokens"] == completion_tokens
    assert client.ok("/astroflow/usage?prefix=stage/p2/")["calls"] == 0
    assert client.call("/v1/completions", {}, headers={"x-astroflow-attempt": "x"})[1]["error"]["param"] == (
        "x-astroflow-attempt"
    )


def test_a_client_that_goes_away_is_journalled_and_stops_the_computation(client, service):
    host, port = client.url.removeprefix("http://").split(":")
    body = b'{"model": "%s", "prompt": "1", "max_tokens": 120, "n": 1024, "stop": "%s"}' % (NAME.encode(), b"\\u0000")
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nx-astroflow-call: gone/1\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    before = client.ok("/astroflow/stats")["tokens_generated"]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
        while client.ok("/astroflow/stats")["tokens_generated"] == before:
            pass
    while client.ok("/astroflow/usage?prefix=gone/")["calls"] == 0:
        pass
    usage = client.ok("/astroflow/usage?prefix=gone/")
    assert usage["prompt_tokens"] == 1
    assert 0 < usage["completion_tokens"] < 1024 * 60
    stats = client.ok("/astroflow/stats")
    assert stats["running"] == stats["queue_length"] == 0
    lines = service.journal.file.read_text().splitlines()
    assert '"delivered":false' in next(line for line in lines if "gone/1" in line)
