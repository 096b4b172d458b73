"""The program around trainers that know nothing of Astroflow: what it reads from their logs, and when it is done."""

import json
import subprocess
import sys
from pathlib import Path

RUNNER = Path(__file__).resolve().parents[2] / "src/services/jobs/recipes/python/astroflow_run.py"

# Writes as verl does, keeps its newest step in `latest`, and can be made to fail at a step.
TRAINER = """
import pathlib, sys
latest = pathlib.Path('latest')
first = int(latest.read_text()) if latest.exists() else 0
if first: print(f'Setting global step to {first}')
for step in range(first + 1, 7):
    print(f'noise step:x step:{step} - train/loss:0.5', flush=True)
    if step % 2 == 0: latest.write_text(str(step))
    if step == int(sys.argv[1]): sys.exit(3)
"""
FINISH = "import pathlib, sys; pathlib.Path('model').mkdir(); pathlib.Path('model/from').write_text(sys.argv[1])"


def run(folder: Path, fail_at: int, finish: list[str] | None = None):
    settings = {
        "parquet": {},
        "train": [sys.executable, "-c", TRAINER, str(fail_at)],
        "resumed": r"Setting global step to (\d+)",
        "step": r"\bstep:(\d+) - ",
        "total": 6,
        "latest": "latest",
        "finish": finish or [sys.executable, "-c", FINISH, "global_step_{step}"],
    }
    (folder / "run.json").write_text(json.dumps(settings))
    return subprocess.run([sys.executable, str(RUNNER)], cwd=folder, capture_output=True, text=True, timeout=60)


def events(folder: Path):
    return [json.loads(line) for line in (folder / "astroflow-log.jsonl").read_text().splitlines()]


def test_a_whole_run_says_start_steps_and_end_and_makes_the_model(tmp_path):
    done = run(tmp_path, 0)
    assert done.returncode == 0, done.stderr
    assert events(tmp_path)[0] == {"event": "start", "resumed_from": 0, "total": 6}
    assert [event["step"] for event in events(tmp_path)[1:-1]] == [1, 2, 3, 4, 5, 6]
    assert events(tmp_path)[-1] == {"event": "end", "global_step": 6}
    assert (tmp_path / "model/from").read_text() == "global_step_6"
    assert 'ASTROFLOW {"event": "step", "step": 6, "total": 6}' in done.stdout
    assert "noise step:x" in done.stdout


def test_a_run_that_failed_has_no_end_and_the_next_says_where_it_went_on(tmp_path):
    assert run(tmp_path, 5).returncode == 3
    assert events(tmp_path)[-1] == {"event": "step", "step": 5, "total": 6}
    assert run(tmp_path, 0).returncode == 0
    starts = [event["resumed_from"] for event in events(tmp_path) if event["event"] == "start"]
    assert starts == [0, 4]
    assert events(tmp_path)[-1] == {"event": "end", "global_step": 6}


def test_a_model_that_cannot_be_made_is_a_failure(tmp_path):
    done = run(tmp_path, 0, [sys.executable, "-c", "raise SystemExit(9)"])
    assert done.returncode == 9
    assert all(event["event"] != "end" for event in events(tmp_path))


# Names a step when it begins it, and leaves a folder for every second; as NeMo-RL does.
BEGINS = """
import pathlib, sys
done = max([0, *(int(path.name[5:]) for path in pathlib.Path().glob('checkpoints/step_*'))])
for step in range(done + 1, 7):
    print(f'{"=" * 25} Step {step}/6 {"=" * 25}', flush=True)
    if step == int(sys.argv[1]): sys.exit(3)
    if step % 2 == 0: pathlib.Path(f'checkpoints/step_{step}').mkdir(parents=True)
"""


def run_beginning(folder: Path, fail_at: int, finish: list[str]):
    settings = {
        "parquet": {},
        "train": [sys.executable, "-c", BEGINS, str(fail_at)],
        "resumed": None,
        "step": None,
        "begins": r"={25} Step (\d+)/",
        "total": 6,
        "latest": "checkpoints/step_*",
        "finish": finish,
    }
    (folder / "run.json").write_text(json.dumps(settings))
    return subprocess.run([sys.executable, str(RUNNER)], cwd=folder, capture_output=True, text=True, timeout=60)


def test_of_a_trainer_that_names_steps_as_they_begin_the_ones_before_are_done(tmp_path):
    finish = [sys.executable, "-c", FINISH, "step_{step}"]
    assert run_beginning(tmp_path, 4, finish).returncode == 3
    assert [event.get("step") for event in events(tmp_path)] == [None, 1, 2, 3]
    assert run_beginning(tmp_path, 0, finish).returncode == 0
    assert [event["resumed_from"] for event in events(tmp_path) if event["event"] == "start"] == [0, 2]
    assert events(tmp_path)[-1] == {"event": "end", "global_step": 6}
    assert (tmp_path / "model/from").read_text() == "step_6"


def test_one_that_had_trained_to_its_end_and_made_no_model_begins_at_its_end(tmp_path):
    assert run_beginning(tmp_path, 0, [sys.executable, "-c", "raise SystemExit(9)"]).returncode == 9
    assert run_beginning(tmp_path, 0, [sys.executable, "-c", FINISH, "step_{step}"]).returncode == 0
    assert events(tmp_path)[-2:] == [
        {"event": "start", "resumed_from": 6, "total": 6},
        {"event": "end", "global_step": 6},
    ]
