"""What fine-tuning and GRPO on TRL share: texts as tokens, checkpoints to go on from, and a log that programs read.

Made for TRL 1.16 (transformers 5). Both programs run in the job's folder and read `job.json` there.
"""

from __future__ import annotations

import json
import math
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase, TrainerCallback
from transformers.utils import chat_template_utils

CHECKPOINTS = Path("checkpoints")
MODEL = Path("model")
LOG = Path("astroflow-log.jsonl")
# Stands where an answer ends; no template has a reason to look for it.
MARK = "ASTROFLOW-ANSWER-ENDS-HERE"


class Day(datetime):
    """The day that Astroflow tells every chat template: prompts must not change from one day to the next."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 12)


# What `strftime_now` asks; a function among a template's variables would be made a text.
chat_template_utils.datetime = Day
DATE_STRING = Day.now().strftime("%d %b %Y")


def load_job() -> dict[str, Any]:
    return json.loads(Path("job.json").read_text())


def read_rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text(encoding="utf-8").split("\n") if line]


class Texts:
    """Messages as the token ids that Astroflow's own sampling uses: only a chat template writes control tokens.

    A control token's text inside a message is broken by a space behind its first character.
    """

    def __init__(self, model: str, template: str) -> None:
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model)
        added = self.tokenizer.added_tokens_decoder.values()
        control = {token.content for token in added if token.special or re.search(r"[|｜]", token.content)}
        longest_first = sorted((text for text in control if len(text) > 1), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._chat = template == "chat"
        if self._chat and self.tokenizer.chat_template is None:
            raise SystemExit(f'{model} has no chat template: set policy.template to "plain"')
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.end_token = self._end_of_turn() if self._chat else self.tokenizer.eos_token_id

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def disarm(self, text: str) -> str:
        while self._control.search(text):
            text = self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text

    def prompt(self, messages: list[dict[str, str]]) -> str:
        """A last message of the assistant is the beginning of its answer."""
        messages = [{**message, "content": self.disarm(message["content"])} for message in messages]
        if not self._chat:
            return "".join(message["content"] for message in messages)
        opens = messages[-1]["role"] == "assistant"
        return self.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=not opens,
            continue_final_message=opens,
            date_string=DATE_STRING,
        )

    def _end_of_turn(self) -> int:
        """The token that the template writes behind an answer."""
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}]
        after = (
            self.tokenizer.apply_chat_template(turns, tokenize=False, date_string=DATE_STRING)
            .partition(MARK)[2]
            .lstrip()
        )
        found = [text for text in self.tokenizer.get_added_vocab() if after.startswith(text)]
        return self.tokenizer.convert_tokens_to_ids(max(found, key=len)) if found else self.tokenizer.eos_token_id


def newest_checkpoint() -> Path | None:
    """The newest one that was written to its end: the trainer writes `trainer_state.json` last."""
    complete = [path for path in CHECKPOINTS.glob("checkpoint-*") if _step_of(path) is not None]
    return max(complete, key=lambda path: _step_of(path) or 0, default=None)


def _step_of(checkpoint: Path) -> int | None:
    try:
        step = json.loads((checkpoint / "trainer_state.json").read_text())["global_step"]
    except (OSError, ValueError, KeyError):
        return None
    return step if checkpoint.name == f"checkpoint-{step}" else None


def shared_settings(job: dict[str, Any]) -> dict[str, Any]:
    """Settings of both trainers; on a machine without a GPU those that a CPU needs."""
    adam = job["adam"]
    gpu = torch.cuda.is_available()
    per_step = job["batch_size"]
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if per_step % world != 0:
        raise SystemExit(f"{per_step} sequences a step cannot be divided among {world} processes")
    micro = largest_divisor(per_step // world, job["micro_batch_size"])
    return {
        "output_dir": str(CHECKPOINTS),
        "max_steps": job["steps"],
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": per_step // world // micro,
        "learning_rate": job["learning_rate"],
        "adam_beta1": adam["beta1"],
        "adam_beta2": adam["beta2"],
        "adam_epsilon": adam["eps"],
        "weight_decay": adam["weightDecay"],
        "max_grad_norm": adam["gradClipNorm"],
        "save_strategy": "steps",
        "save_steps": job["save_steps"],
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_first_step": True,
        "seed": job["seed"],
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not gpu,
        "bf16": gpu,
        "gradient_checkpointing": gpu,
    }


def largest_divisor(number: int, most: int) -> int:
    return max(divisor for divisor in range(1, min(number, most) + 1) if number % divisor == 0)


def say(event: str, **fields: Any) -> None:
    """One line for programs, into the job's log and into a file of their own."""
    line = json.dumps({"event": event, **fields})
    print(f"ASTROFLOW {line}", flush=True)
    with LOG.open("a") as log:
        log.write(line + "\n")


class Progress(TrainerCallback):
    """Start (with the step that training goes on from, as the trainer has it), then every step."""

    def on_train_begin(self, args, state, control, **_):
        if state.is_world_process_zero:
            say("start", resumed_from=state.global_step, total=state.max_steps)

    def on_log(self, args, state, control, logs=None, **_):
        if state.is_world_process_zero and logs:
            numbers = {key: value for key, value in logs.items() if _is_number(value)}
            say("step", step=state.global_step, total=state.max_steps, **numbers)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def train(trainer: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Trains to the end, from the newest checkpoint where there is one, and leaves a folder that transformers loads."""
    checkpoint = newest_checkpoint()
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model(str(MODEL))
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(MODEL)
        say("end", global_step=trainer.state.global_step)
