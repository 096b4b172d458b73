"""Puts the engine's parts together."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from .checkpoints import CheckpointStore
from .compute import Compute
from .decoder import Decoder
from .futures import Futures
from .journal import Journal
from .models import Models
from .policy import load_base
from .service import Service
from .vocabulary import Vocabulary


def build_service(arguments: argparse.Namespace) -> Service:
    """Loads the model on the compute thread and returns when it can be sampled."""
    torch.set_num_interop_threads(1)
    store = CheckpointStore(arguments.data / "checkpoints", arguments.model)

    def build() -> tuple[Models, Decoder]:
        architecture, base = load_base(arguments.model)
        models = Models(arguments.name, architecture, base, store)
        vocabulary = Vocabulary.load(arguments.model, architecture.vocabulary_size, end_of_text(arguments.model))
        return models, Decoder(architecture, vocabulary, arguments.slots, models.version)

    compute = Compute(build, arguments.threads)
    compute.start()
    compute.wait_until_ready()
    return Service(
        name=arguments.name,
        max_positions=compute.models.architecture.max_positions,
        compute=compute,
        vocabulary=compute.decoder.vocabulary,
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
