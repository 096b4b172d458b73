"""The reward bridge of training jobs against the real verifier, and against coprocesses that misbehave."""

import importlib.util
import json
import shutil
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "src/services/jobs/recipes/python/astroflow_reward.py"
PROBLEM = {"id": "a", "data": {"numbers": [1, 2, 3], "target": 6}}
RIGHT = "\\boxed{1+2+3}"
WRONG = "\\boxed{1+2}"


@pytest.fixture
def bridge(tmp_path, monkeypatch):
    settings = tmp_path / "astroflow_reward.json"
    monkeypatch.setenv("ASTROFLOW_REWARD", str(settings))
    spec = importlib.util.spec_from_file_location("astroflow_reward", MODULE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    node = shutil.which("node")
    assert node is not None
    command = [node, str(ROOT / "bin/astroflow.js"), "reward", "--task", '{"name":"countdown"}']
    settings.write_text(json.dumps({"command": command, "deadline_s": 60}))
    yield module
    if module._verifier is not None:
        module._verifier.close()


def program(bridge, code: str, deadline_s: float = 30):
    """A verifier whose coprocess is the given Python."""
    return bridge.Verifier([sys.executable, "-u", "-c", code], deadline_s)


def row(response: str = RIGHT):
    return {"problem": PROBLEM, "response": response}


def test_every_trainer_gets_the_rewards_of_the_verifier(bridge):
    problem = json.dumps(PROBLEM)
    chat = [[{"role": "assistant", "content": RIGHT}], [{"role": "assistant", "content": WRONG}]]
    assert bridge.trl_reward(["p", "p"], [RIGHT, WRONG], problem=[problem, problem]) == [1.0, -1.0]
    assert bridge.trl_reward(["p", "p"], chat, problem=[problem, problem]) == [1.0, -1.0]
    assert bridge.compute_score("countdown", RIGHT, problem) == {"score": 1.0, "acc": 1.0}
    assert bridge.compute_score("countdown", WRONG, problem, {"index": 3}) == {"score": -1.0, "acc": 0.0}


def test_an_answer_that_was_cut_is_wrong(bridge):
    bridge.trl_reward.end_tokens = {1}
    problems = [json.dumps(PROBLEM)] * 3
    ids = [[7, 8, 1], [7, 8, 9], []]
    assert bridge.trl_reward(["p"] * 3, [RIGHT] * 3, completion_ids=ids, problem=problems) == [1.0, -1.0, -1.0]


def test_a_batch_larger_than_the_pipes_comes_back_in_order(bridge):
    responses = [RIGHT if i % 3 == 0 else WRONG + " " * 2000 for i in range(1500)]
    expected = [1.0 if i % 3 == 0 else -1.0 for i in range(1500)]
    assert bridge.rewards([PROBLEM] * 1500, responses) == expected


def test_threads_share_one_coprocess_and_get_their_own_answers(bridge):
    results: dict[int, list[float]] = {}

    def grade(number: int) -> None:
        results[number] = bridge.rewards([PROBLEM] * 20, [RIGHT if number % 2 else WRONG] * 20)

    threads = [threading.Thread(target=grade, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [1.0 if number % 2 else -1.0] * 20 for number in range(6)}


def test_a_refused_row_is_named(bridge):
    with pytest.raises(bridge.RewardError, match='"problem" must be'):
        bridge.rewards([{"numbers": [1]}], [RIGHT])


def test_a_coprocess_that_died_is_started_again_for_the_next_batch(bridge):
    once = "import sys; sys.stdin.readline(); print('{\"reward\": 1}', flush=True)"
    verifier = program(bridge, once)
    with pytest.raises(bridge.RewardError, match="after 1 of 2 answers"):
        verifier.grade([row(), row()])
    assert verifier.grade([row()]) == [{"reward": 1}]


@pytest.mark.parametrize("code", ["import time; time.sleep(600)", "import sys\nfor line in sys.stdin: pass"])
def test_a_coprocess_that_says_nothing_is_ended_at_the_deadline(bridge, code):
    verifier = program(bridge, code, deadline_s=0.5)
    with pytest.raises(bridge.RewardError, match="graded 0 of 3000 answers in 0.5 s"):
        verifier.grade([row()] * 3000)


def test_what_is_missing_is_said(bridge, tmp_path, monkeypatch):
    with pytest.raises(bridge.RewardError, match="cannot be started"):
        bridge.Verifier(["/does/not/exist"], 1).grade([row()])
    monkeypatch.setattr(bridge, "SETTINGS", tmp_path / "nowhere.json")
    with pytest.raises(bridge.RewardError, match="must hold the verifier's command"):
        bridge.rewards([PROBLEM], [RIGHT])
