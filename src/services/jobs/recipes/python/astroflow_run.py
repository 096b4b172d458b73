"""Runs a trainer that knows nothing of Astroflow, and says in our words what its log says in its own.

Reads `run.json` in the current folder:
    parquet  files of JSON Lines to write as Parquet first: {"rows.jsonl": "rows.parquet"}
    train    the trainer's command line
    resumed  pattern whose group is the step that it goes on from; divided by `per_step` where it counts sequences
    step     pattern whose group is a step that is done
    begins   pattern whose group is a step that begins, of trainers that name neither of the two above
    total    steps in all
    latest   file in which the trainer keeps the step of its newest checkpoint, or a pattern (`*`) of checkpoints
    finish   command line that makes `model/` from it; `{step}` stands for that step. Null: the trainer leaves `model/`
Ends with the trainer's exit code.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

LOG = Path("astroflow-log.jsonl")


def say(event: str, **fields: Any) -> None:
    """One line for programs, into the job's log and into a file of their own."""
    line = json.dumps({"event": event, **fields})
    print(f"ASTROFLOW {line}", flush=True)
    with LOG.open("a") as log:
        log.write(line + "\n")


def write_parquet(source: str, target: str) -> None:
    from pyarrow import json as arrow_json
    from pyarrow import parquet

    # A row is never cut: a block must hold the longest one.
    options = arrow_json.ReadOptions(block_size=max(1 << 20, Path(source).stat().st_size))
    parquet.write_table(arrow_json.read_json(source, read_options=options), target)


class Reader:
    """Finds start and steps in a trainer's log. A trainer that names no start began one before its first step."""

    def __init__(self, run: dict[str, Any]) -> None:
        self._run = run
        self._started = False
        self.last = 0

    def read(self, line: str) -> None:
        if not self._started and (resumed := self._number("resumed", line)) is not None:
            self.start(resumed // self._run.get("per_step", 1))
        if (step := self._number("step", line)) is not None:
            self.start(step - 1)
            self.done(step)
        if (begun := self._number("begins", line)) is not None:
            self.start(begun - 1)
            self.done(begun - 1)

    def _number(self, pattern: str, line: str) -> int | None:
        found = re.search(self._run[pattern], line) if self._run.get(pattern) else None
        return int(found[1]) if found else None

    def done(self, step: int) -> None:
        if step > self.last:
            self.last = step
            say("step", step=step, total=self._run["total"])

    def start(self, step: int) -> None:
        if not self._started:
            self._started = True
            self.last = step
            say("start", resumed_from=step, total=self._run["total"])


def run_program(command: list[str], read=None) -> int:
    """Runs it in our process group, with its output in ours, line by line."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    for line in process.stdout:
        print(line, end="", flush=True)
        if read is not None:
            read(line)
    return process.wait()


def main() -> int:
    run = json.loads(Path("run.json").read_text())
    for source, target in run["parquet"].items():
        write_parquet(source, target)
    reader = Reader(run)
    code = run_program(run["train"], reader.read)
    if code != 0:
        return code
    step = newest_step(run["latest"], reader.last)
    # One that names a step when it begins it, and named none, had none left to make.
    reader.start(step if run.get("begins") else 0)
    if run["finish"] is not None:
        code = run_program([part.replace("{step}", str(step)) for part in run["finish"]])
        if code != 0:
            return code
    say("end", global_step=step)
    return 0


def newest_step(latest: str, seen: int) -> int:
    texts = [path.name if "*" in latest else path.read_text() for path in Path().glob(latest)]
    found = [re.search(r"\d+", text) for text in texts]
    return max([seen, *(int(number[0]) for number in found if number)])


if __name__ == "__main__":
    sys.exit(main())
