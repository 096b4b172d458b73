"""The engine as a process: killed at any moment, it comes back where its last checkpoint was."""

import json
import signal
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from engine.__main__ import parse_arguments

from .conftest import NAME, REPOSITORY, engine_process, text_datum

ADAM = {"learning_rate": 3e-3, "weight_decay": 0.01, "grad_clip_norm": 1.0}
TEXTS = ["Use 4 9 3 to make 39\n9*4=36", "Use 1 2 to make 3\n1+2=3 is 3\n", "Use 7 5 to make 12\n7+5=12"]


def train(client, model, seq, steps, seen=None):
    """Optimiser steps; ``seen`` collects the log-probabilities before each of them."""
    for step in steps:
        inputs = {"data": [text_datum(TEXTS[step % 3]), text_datum()], "loss_fn": "cross_entropy"}
        output = client.training("forward_backward", model_id=model, seq_id=seq, forward_backward_input=inputs)
        client.training("optim_step", model_id=model, seq_id=seq + 1, adam_params=ADAM)
        if seen is not None:
            seen.append([datum["logprobs"]["data"] for datum in output["loss_fn_outputs"]])
        seq += 2
    return seq


def test_a_killed_engine_resumes_exactly_and_keeps_its_accounts(model_folder, tmp_path):
    with engine_process(model_folder, tmp_path) as (client, process):
        straight = client.new_model()
        seq = train(client, straight, 1, range(5))
        client.training("save_weights", model_id=straight, seq_id=seq, path="end")
        broken = client.new_model()
        seq = train(client, broken, 1, range(2))
        middle = client.training("save_weights", model_id=broken, seq_id=seq, path="middle")["path"]
        version = client.training("save_weights_for_sampler", model_id=broken, seq_id=seq + 1, path="middle")["path"]
        before, after = [], []
        train(client, broken, seq + 2, range(2, 4), before)
        pending = client.ok("/api/v1/optim_step", {"model_id": broken, "seq_id": 100})["request_id"]
        tokens = [c["token_ids"] for c in client.complete("1+", model=version, headers={"x-astroflow-call": "run/1"})]
        usage = client.ok("/astroflow/usage?prefix=run/")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with engine_process(model_folder, tmp_path) as (client, process):
        assert client.ok("/astroflow/usage?prefix=run/") == usage
        assert usage["calls"] == 1 and usage["completion_tokens"] == len(tokens[0])
        assert [c["token_ids"] for c in client.complete("1+", model=version)] == tokens
        assert client.call("/api/v1/retrieve_future", {"request_id": pending})[0] == 410
        status, body = client.call("/api/v1/optim_step", {"model_id": broken, "seq_id": 1})
        assert status == 404 and "not loaded" in body["detail"]
        resumed = client.new_model()
        client.training("load_weights", model_id=resumed, seq_id=1, path=middle, optimizer=True)
        seq = train(client, resumed, 2, range(2, 5), after)
        # What a client compares after a restore: weights in the first pass, the optimiser's moments in the second.
        assert after[:2] == before
        client.training("save_weights", model_id=resumed, seq_id=seq, path="end")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
        assert process.stdout.read() == ""
    for file in ("model.safetensors", "optimizer.safetensors"):
        ends = [load_file(tmp_path / "checkpoints" / model / "weights" / "end" / file) for model in (straight, resumed)]
        assert ends[0].keys() == ends[1].keys()
        assert all(ends[0][name].equal(ends[1][name]) for name in ends[0])


def test_it_ends_when_its_parent_was_killed(model_folder, tmp_path):
    launcher = (
        "import os, subprocess, sys\n"
        f"args = [sys.executable, '-m', 'engine', '--model', {str(model_folder)!r}, '--data', {str(tmp_path)!r}]\n"
        "child = subprocess.Popen([*args, '--threads', '1', '--parent-pid', str(os.getpid())])\n"
        "child.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", launcher], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    ready = json.loads(parent.stdout.readline())
    assert ready["ready"] is True and ready["model"] == NAME
    parent.kill()
    # The child holds the other end of the pipe, so the output ends only when the child is gone.
    parent.communicate(timeout=30)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.org", "::"])
def test_an_address_that_others_can_reach_needs_a_token_or_a_flag(host, model_folder, tmp_path, capsys, monkeypatch):
    arguments = ["--model", str(model_folder), "--data", str(tmp_path), "--host", host]
    with pytest.raises(SystemExit):
        parse_arguments(arguments)
    said = capsys.readouterr().err
    assert "ASTROFLOW_ENGINE_TOKEN" in said and "--allow-remote" in said
    assert parse_arguments([*arguments, "--allow-remote"]).host == host
    monkeypatch.setenv("ASTROFLOW_ENGINE_TOKEN", "a-token-of-an-engine")
    assert parse_arguments(arguments).token == "a-token-of-an-engine"
