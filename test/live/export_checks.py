"""Reads an export with the tools that it is for, and prints what they see as JSON.

export_checks.py rows FOLDER NAME | verl FOLDER TOKENIZER | tensorboard FOLDER | wandb FOLDER
export_checks.py adapter BASE FOLDER    makes a LoRA adapter whose weights are not zero
export_checks.py logits FOLDER [--peft] | mlflow URL EXPERIMENT
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path


def rows(folder: str, name: str) -> dict:
    import pyarrow.parquet as parquet
    from datasets import load_dataset

    lines = [json.loads(line) for line in (Path(folder) / f"{name}.jsonl").read_text().splitlines()]
    file = parquet.ParquetFile(Path(folder) / f"{name}.parquet")
    loaded = load_dataset(folder, name, split="train", cache_dir=f"{folder}-cache")
    as_json = load_dataset("json", data_files=f"{folder}/{name}.jsonl", split="train", cache_dir=f"{folder}-cache")
    return {
        "rows": len(lines),
        "arrow": file.read().to_pylist() == lines,
        "datasets": loaded.to_list() == lines,
        "json": as_json.to_list() == lines,
        "schema": {field.name: str(field.type) for field in file.schema_arrow},
    }


def verl(folder: str, tokenizer_folder: str) -> dict:
    from omegaconf import OmegaConf
    from transformers import AutoTokenizer
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
    from verl.utils.dataset.rl_dataset import RLHFDataset

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    sft = MultiTurnSFTDataset(
        f"{folder}/sft-search.parquet",
        tokenizer,
        OmegaConf.create({"messages_key": "messages", "max_length": 4096, "pad_mode": "no_padding"}),
    )
    first = sft[0]
    learned = first["input_ids"][first["loss_mask"].bool()]
    settings = {"prompt_key": "prompt", "return_raw_chat": True, "cache_dir": f"{folder}-cache"}
    prompts = RLHFDataset(f"{folder}/prompts-search.parquet", tokenizer, OmegaConf.create(settings))
    prompt = prompts[0]
    return {
        "sft_rows": len(sft),
        "learned": tokenizer.decode(learned),
        "prompts": len(prompts),
        "raw_prompt": prompt["raw_prompt"],
        "ground_truth": json.loads(prompt["reward_model"]["ground_truth"]),
        "problem_id": prompt["extra_info"]["problem_id"],
    }


def tensorboard(folder: str) -> dict:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen = {}
    for arm in sorted(Path(folder).iterdir()):
        events = EventAccumulator(str(arm))
        events.Reload()
        seen[arm.name] = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return seen


def wandb(folder: str) -> dict:
    from wandb.proto import wandb_internal_pb2

    seen = {}
    for file in sorted(Path(folder).glob("offline-run-*/*.wandb")):
        run, history, steps = None, [], {}
        for data in leveldb_records(file.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                run = record.run
            elif kind == "history":
                items = record.history.item
                history.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
            elif kind == "metric" and record.metric.step_metric:
                steps[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        config = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in run.config.update}
        about = {"group": run.run_group, "project": run.project, "config": config}
        seen[run.display_name] = about | {"id": run.run_id, "history": history, "steps": steps}
    return seen


def leveldb_records(data: bytes):
    """Records of LevelDB's log format, whose blocks of 32 KiB begin behind wandb's own 7 bytes."""
    assert data[:4] == b":W&B"
    at, parts = 7, []
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += 7
        parts.append(data[at : at + length])
        at += length
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


def adapter(base: str, folder: str) -> dict:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    # The output layer too, which in the base is one weight with the embedding: merging must take them apart.
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]
    config = LoraConfig(r=4, lora_alpha=32, target_modules=layers, task_type="CAUSAL_LM", init_lora_weights=False)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.peft_config["default"].base_model_name_or_path = None
    model.save_pretrained(folder, save_embedding_layers=False)
    return {}


def logits(folder: str, *flags: str) -> dict:
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loader = AutoPeftModelForCausalLM if "--peft" in flags else AutoModelForCausalLM
    model = loader.from_pretrained(folder).eval()
    prompt = AutoTokenizer.from_pretrained(folder)("Use 4 9 3 to make 39\n", return_tensors="pt").input_ids
    with torch.no_grad():
        return {
            "logits": model(prompt).logits[0, -1].tolist(),
            "generated": model.generate(prompt, max_new_tokens=8)[0].tolist(),
        }


def mlflow(url: str, experiment: str) -> dict:
    from mlflow import MlflowClient

    client = MlflowClient(url)
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return {
        run.data.tags["mlflow.runName"]: {
            "status": run.info.status,
            "params": run.data.params,
            "metrics": {
                key: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            },
        }
        for run in runs
    }


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    print(json.dumps(globals()[command](*arguments)))
