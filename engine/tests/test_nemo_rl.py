"""What a NeMo-RL checkout imports from a job: rows as its processors give them, and rewards as its environments do.

NeMo-RL is not on PyPI; the few names of it and of Ray that are used are stood in for here.
"""

import importlib
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "src/services/jobs/recipes/python"
MODEL = ROOT / "engine/base/model"
OURS = ("astroflow_nemo_rl", "astroflow_reward", "astroflow_texts")
MESSAGES = [{"role": "user", "content": "Use 4 9 3 to make 39\n"}]
PROBLEM = {"id": "a", "data": {"numbers": [1, 2, 3], "target": 6}}


class EnvironmentReturn(NamedTuple):
    observations: list
    metadata: list
    next_stop_strings: list
    rewards: object
    terminateds: object
    answers: object


def module(**names) -> ModuleType:
    made = ModuleType("stand-in")
    vars(made).update(names)
    return made


@pytest.fixture
def load(tmp_path, monkeypatch):
    registries: dict = {"processors": {}, "environments": {}, "pythons": {}}
    stand_ins = {
        "ray": module(remote=lambda **_: lambda actor: actor),
        "nemo_rl": module(),
        "nemo_rl.data": module(),
        "nemo_rl.data.interfaces": module(DatumSpec=dict),
        "nemo_rl.data.processors": module(register_processor=registries["processors"].__setitem__),
        "nemo_rl.distributed": module(),
        "nemo_rl.distributed.ray_actor_environment_registry": module(ACTOR_ENVIRONMENT_REGISTRY=registries["pythons"]),
        "nemo_rl.distributed.virtual_cluster": module(PY_EXECUTABLES=module(SYSTEM="python")),
        "nemo_rl.environments": module(),
        "nemo_rl.environments.interfaces": module(EnvironmentInterface=object, EnvironmentReturn=EnvironmentReturn),
        "nemo_rl.environments.utils": module(register_env=registries["environments"].__setitem__),
    }
    for name, made in stand_ins.items():
        monkeypatch.setitem(sys.modules, name, made)
    for name in OURS:
        shutil.copy(PROGRAMS / f"{name}.py", tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    loaded: list = []

    def start(**job):
        defaults = {"model": str(MODEL), "template": "plain", "stage": "sft", "train_on_prompt": False}
        (tmp_path / "job.json").write_text(json.dumps({**defaults, **job}))
        command = [shutil.which("node"), str(ROOT / "bin/astroflow.js"), "reward", "--task", '{"name":"countdown"}']
        (tmp_path / "astroflow_reward.json").write_text(json.dumps({"command": command, "deadline_s": 60}))
        ours = importlib.import_module("astroflow_nemo_rl")
        ours.register()
        loaded.append(sys.modules["astroflow_reward"])
        return ours, registries

    yield start
    for bridge in loaded:
        if bridge._verifier is not None:
            bridge._verifier.close()
    for name in OURS:
        sys.modules.pop(name, None)


def ids_of(message):
    return message["token_ids"].tolist()


def test_answers_carry_the_loss_and_prompts_do_only_where_they_are_trained_on(load):
    row = {"messages": MESSAGES, "completion": "4*9+3", "task_name": "jobs"}
    ours, registries = load()
    process = registries["processors"]["astroflow"]
    datum = process(row, None, None, 100, 7, add_bos=True, add_eos=True, add_generation_prompt=False)
    prompt, answer = datum["message_log"]
    texts = ours.texts()
    assert (prompt["role"], answer["role"]) == ("user", "assistant")
    assert ids_of(prompt) == texts.ids("Use 4 9 3 to make 39\n")
    assert ids_of(answer) == [*texts.ids("4*9+3"), texts.end_token]
    assert datum["length"] == len(ids_of(prompt)) + len(ids_of(answer))
    assert (datum["idx"], datum["loss_multiplier"]) == (7, 1.0)


def test_prompts_that_are_trained_on_are_said_by_the_assistant(load):
    ours, registries = load(train_on_prompt=True)
    row = {"messages": MESSAGES, "completion": "4*9+3", "task_name": "jobs"}
    (whole,) = registries["processors"]["astroflow"](row, None, None, 100, 0)["message_log"]
    assert whole["role"] == "assistant"
    assert ids_of(whole)[-1] == ours.texts().end_token


def test_a_row_that_is_too_long_is_an_error(load):
    _, registries = load()
    row = {"messages": MESSAGES, "completion": "4*9+3", "task_name": "jobs"}
    with pytest.raises(ValueError, match=r"row 3 has \d+ tokens: raise policy.max_total_sequence_length \(5\)"):
        registries["processors"]["astroflow"](row, None, None, 5, 3)


def test_answers_are_graded_by_the_verifier_and_end_the_episode(load):
    ours, registries = load(stage="rl")
    row = {"messages": MESSAGES, "problem": json.dumps(PROBLEM), "task_name": "jobs"}
    datum = registries["processors"]["astroflow"](row, None, None, 100, 0)
    assert datum["extra_env_info"] == {"problem": json.dumps(PROBLEM)}
    logs = [
        [*datum["message_log"], {"role": "assistant", "content": f"\\boxed{{{said}}}"}] for said in ("1+2+3", "1+2")
    ]
    environment = ours.AstroflowEnvironment({})
    outcome = environment.step(logs, [datum["extra_env_info"]] * 2)
    assert outcome.rewards.tolist() == [1.0, -1.0]
    assert outcome.terminateds.tolist() == [1.0, 1.0]
    assert environment.global_post_process_and_metrics({"rewards": outcome.rewards})[1] == {"correct": 0.5}


def test_the_environment_has_a_name_and_a_python_to_run_in(load):
    _, registries = load(stage="rl")
    actor = "astroflow_nemo_rl.AstroflowEnvironment"
    assert registries["environments"] == {"astroflow": actor}
    assert registries["pythons"] == {actor: "python"}
