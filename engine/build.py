"""Puts the engine's parts together."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from .checkpoints import CheckpointStore
from .compute import Compute
from .futures import Futures
from .journal import Journal
from .models import Models
from .policy import load_base
from .service import Service
from .vocabulary import Vocabulary


def build_service(arguments: argparse.Namespace) -> Service:
    """Loads the model and starts the lanes."""
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    store = CheckpointStore(arguments.data / "checkpoints", arguments.model)

    architecture, base = load_base(arguments.model)
    models = Models(arguments.name, architecture, base, store)
    vocabulary = Vocabulary.load(arguments.model, architecture.vocabulary_size, end_of_text(arguments.model))
    compute = Compute(models, vocabulary, arguments.threads, arguments.slots)
    compute.start()
    return Service(
        name=arguments.name,
        tokenizer=str(arguments.model.resolve()),
        max_positions=architecture.max_positions,
        compute=compute,
        vocabulary=vocabulary,
        store=store,
        journal=Journal(arguments.data / "usage.jsonl"),
        futures=Futures(arguments.future_ttl),
    )


def end_of_text(folder: Path) -> list[int]:
    """End-of-text ids: those of generation_config.json where it has any, else of config.json."""
    for name in ("generation_config.json", "config.json"):
        file = folder / name
        eos = json.loads(file.read_text()).get("eos_token_id") if file.exists() else None
        if eos is not None:
            return eos if isinstance(eos, list) else [eos]
    return []
