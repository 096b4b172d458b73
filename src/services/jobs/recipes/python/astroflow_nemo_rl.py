"""Astroflow's texts and rewards for NeMo-RL: what its registries name, imported by its driver, its loaders and its actors.

Made for NeMo-RL 0.6.0 (commit 7ea279ab). `job.json`, `rows.jsonl` and the bridge to the verifier lie beside this file.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import astroflow_reward
import ray
import torch
from astroflow_texts import Texts
from nemo_rl.data.interfaces import DatumSpec
from nemo_rl.environments.interfaces import EnvironmentInterface, EnvironmentReturn

HERE = Path(__file__).resolve().parent
# Of processors and of the environment, in the configuration of the job.
NAME = "astroflow"


@functools.cache
def job() -> dict[str, Any]:
    return json.loads((HERE / "job.json").read_text())


@functools.cache
def texts() -> Texts:
    return Texts(job()["model"], job()["template"])


def register() -> None:
    """Names that the configuration uses, in NeMo-RL's registries; an environment also needs the Python that it runs in."""
    from nemo_rl.data.processors import register_processor
    from nemo_rl.distributed.ray_actor_environment_registry import (
        ACTOR_ENVIRONMENT_REGISTRY,
    )
    from nemo_rl.distributed.virtual_cluster import PY_EXECUTABLES
    from nemo_rl.environments.utils import register_env

    register_processor(NAME, conversation if job()["stage"] == "sft" else prompt)
    actor = f"{__name__}.AstroflowEnvironment"
    register_env(NAME, actor)
    ACTOR_ENVIRONMENT_REGISTRY[actor] = PY_EXECUTABLES.SYSTEM


def conversation(row: dict[str, Any], spec: Any, tokenizer: Any, max_length: int, index: int, **_: Any) -> DatumSpec:
    """A row of fine-tuning. The loss is on what the assistant says, which is all of it where prompts are trained on."""
    told = texts()
    before = told.ids(told.prompt(row["messages"]))
    after = [*told.ids(told.disarm(row["completion"])), told.end_token]
    both = [("assistant", before + after)] if job()["train_on_prompt"] else [("user", before), ("assistant", after)]
    return datum(row, both, max_length, index, None)


def prompt(row: dict[str, Any], spec: Any, tokenizer: Any, max_length: int, index: int) -> DatumSpec:
    told = texts()
    ids = told.ids(told.prompt(row["messages"]))
    return datum(row, [("user", ids)], max_length, index, {"problem": row["problem"]})


def datum(
    row: dict[str, Any], messages: list[tuple[str, list[int]]], max_length: int, index: int, info: Any
) -> DatumSpec:
    """Token ids by message. A row that is too long is an error: NeMo-RL would train on without it and not say so."""
    length = sum(len(ids) for _, ids in messages)
    if length >= max_length:
        raise ValueError(f"row {index} has {length} tokens: raise policy.max_total_sequence_length ({max_length})")
    log = [
        {"role": role, "content": texts().tokenizer.decode(ids), "token_ids": torch.tensor(ids)}
        for role, ids in messages
    ]
    return {
        "message_log": log,
        "length": length,
        "extra_env_info": info,
        "loss_multiplier": 1.0,
        "idx": index,
        "task_name": row["task_name"],
    }


@ray.remote(max_restarts=-1, max_task_retries=-1)
class AstroflowEnvironment(EnvironmentInterface):
    """One turn: the answer is graded and the episode is over. An error of the verifier ends the job."""

    def __init__(self, config: dict[str, Any]) -> None:
        pass

    def step(self, message_log_batch: list[Any], metadata: list[dict[str, Any]]) -> EnvironmentReturn:
        answers = ["".join(m["content"] for m in log if m["role"] == "assistant") for log in message_log_batch]
        rewards = astroflow_reward.rewards([row["problem"] for row in metadata], answers)
        count = len(answers)
        return EnvironmentReturn(
            observations=[{"role": "environment", "content": ""}] * count,
            metadata=metadata,
            next_stop_strings=[None] * count,
            rewards=torch.tensor(rewards),
            terminateds=torch.ones(count),
            answers=None,
        )

    def global_post_process_and_metrics(self, batch: Any) -> tuple[Any, dict[str, float]]:
        return batch, {"correct": (batch["rewards"] > 0).float().mean().item()}
