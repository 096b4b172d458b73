"""Rewards of Astroflow's own verifier, for any trainer that takes a Python reward function.

One coprocess (`astroflow reward`) per Python process grades everything that this process samples. Its command line is
in `astroflow_reward.json` beside this file, or in the file that ASTROFLOW_REWARD names. Only the standard library is
used. The functions at the end have the signatures that TRL, verl and OpenRLHF ask for.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SETTINGS = Path(os.environ.get("ASTROFLOW_REWARD") or Path(__file__).with_name("astroflow_reward.json"))


class RewardError(RuntimeError):
    """A batch has no rewards: the verifier is missing, died, was too slow, or refused a row."""


class Verifier:
    """The coprocess. Safe to share between threads; started when first asked, and again after it has died."""

    def __init__(self, command: Sequence[str], deadline_s: float) -> None:
        self._command = list(command)
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def grade(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Verdicts of rows `{problem, response, truncated?}`, in their order.

        Raises:
            RewardError: for the batch as a whole; the next batch gets a new coprocess where this one is gone.
        """
        if not rows:
            return []
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        with self._lock:
            answers = self._exchange(lines, len(rows))
        for row, answer in zip(rows, answers, strict=True):
            if "error" in answer:
                raise RewardError(f"the verifier refused a row: {answer['error']} (problem {row['problem']!r:.300})")
        return answers

    def close(self) -> None:
        with self._lock:
            self._end()

    def _exchange(self, lines: str, count: int) -> list[dict[str, Any]]:
        process = self._running()
        late = threading.Event()

        def kill() -> None:
            # Reading and writing below then fail at once, wherever they stand.
            late.set()
            process.kill()

        # What is read must be read while the rest is still being written, or two full pipes would wait for each other.
        writer = threading.Thread(target=_write, args=(process, lines), daemon=True)
        timer = threading.Timer(self._deadline_s, kill)
        timer.daemon = True
        timer.start()
        writer.start()
        try:
            answers = [process.stdout.readline() for _ in range(count)]
        finally:
            timer.cancel()
        if answers[-1].endswith("\n"):
            writer.join()
            return [json.loads(answer) for answer in answers]
        graded = sum(answer.endswith("\n") for answer in answers)
        code = self._end()
        if late.is_set():
            raise RewardError(
                f"the verifier graded {graded} of {count} answers in {self._deadline_s:g} s: "
                f"raise deadline_s in {SETTINGS}, or use smaller batches"
            )
        raise RewardError(
            f"the verifier ended with exit code {code} after {graded} of {count} answers; "
            f"its own message is in this job's log. Command: {' '.join(self._command)}"
        )

    def _running(self) -> subprocess.Popen[str]:
        # A forked process has its parent's pipes, and must not talk into them.
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return self._process
            self._end()
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        except OSError as error:
            raise RewardError(f"the verifier cannot be started ({error}): check the command in {SETTINGS}") from error
        self._owner = os.getpid()
        return self._process

    def _end(self) -> int | None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            # What was still to be written has nobody to read it.
            with contextlib.suppress(OSError):
                pipe.close()
        return process.wait()


def _write(process: subprocess.Popen[str], lines: str) -> None:
    # It may die or be ended meanwhile: the reader finds out and says so.
    with contextlib.suppress(OSError, ValueError):
        process.stdin.write(lines)
        process.stdin.flush()


_verifier: Verifier | None = None
_verifier_lock = threading.Lock()


def verifier() -> Verifier:
    """This process's verifier. Raises RewardError where its settings are missing or wrong."""
    global _verifier
    with _verifier_lock:
        if _verifier is None:
            try:
                settings = json.loads(SETTINGS.read_text())
                _verifier = Verifier(settings["command"], float(settings["deadline_s"]))
            except (OSError, ValueError, KeyError) as error:
                raise RewardError(f"{SETTINGS} must hold the verifier's command and deadline_s ({error!r})") from error
        return _verifier


def rewards(problems: Sequence[Any], responses: Sequence[str], truncated: Sequence[bool] | None = None) -> list[float]:
    """The rewards of answers; a problem is what a prompt row holds, as an object or as JSON."""
    cut = truncated if truncated is not None else [False] * len(responses)
    rows = [
        {"problem": _object(problem), "response": response, "truncated": was_cut}
        for problem, response, was_cut in zip(problems, responses, cut, strict=True)
    ]
    return [float(answer["reward"]) for answer in verifier().grade(rows)]


def _object(problem: Any) -> Any:
    return json.loads(problem) if isinstance(problem, str) else problem


def _text(completion: Any) -> str:
    """A completion as text: trainers that know conversations give lists of messages."""
    return completion if isinstance(completion, str) else "".join(message["content"] for message in completion)


def trl_reward(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
    """TRL (`reward_funcs`). The data set's column `problem` says what is graded.

    An answer without an end-of-text token was cut at the limit, which is known where the trainer's module has set
    `trl_reward.end_tokens`.
    """
    end_tokens = getattr(trl_reward, "end_tokens", None)
    ids = columns.get("completion_ids")
    cut = None if end_tokens is None or ids is None else [not one or one[-1] not in end_tokens for one in ids]
    return rewards(columns["problem"], [_text(completion) for completion in completions], cut)


def compute_score(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: dict[str, Any] | None = None, **_: Any
) -> dict[str, Any]:
    """verl (`reward.custom_reward_function`). The ground truth is the problem, as JSON."""
    truncated = bool((extra_info or {}).get("truncated", False))
    row = {"problem": _object(ground_truth), "response": solution_str, "truncated": truncated}
    answer = verifier().grade([row])[0]
    return {"score": float(answer["reward"]), "acc": float(answer["correct"] is True)}


def reward_func(queries: list[str], prompts: list[str], labels: list[Any], **_: Any) -> dict[str, Any]:
    """OpenRLHF (`--reward.remote_url FILE.py`). A query is prompt and answer; the label is the problem, as JSON."""
    import torch

    responses = [query[len(prompt) :] for query, prompt in zip(queries, prompts, strict=True)]
    scores = torch.tensor(rewards(labels, responses), dtype=torch.float32)
    return {"rewards": scores, "scores": (scores > 0).float(), "extra_logs": {"correct": (scores > 0).float()}}
