"""What fine-tuning and GRPO on TRL share: checkpoints to go on from, and a log that programs read.

Made for TRL 1.16 (transformers 5). Both programs run in the job's folder and read `job.json` there.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, TrainerCallback

CHECKPOINTS = Path("checkpoints")
MODEL = Path("model")
LOG = Path("astroflow-log.jsonl")


def load_job() -> dict[str, Any]:
    return json.loads(Path("job.json").read_text())


def read_rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text(encoding="utf-8").split("\n") if line]


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
