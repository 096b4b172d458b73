"""Checkpoints on disk: a folder is written beside its place and renamed, so it is there whole or not at all.

``<root>/<model id>/weights/<name>/``: model.safetensors, optimizer.safetensors, meta.json
``<root>/<model id>/sampler_weights/<name>/``: model.safetensors, meta.json

Both hold the base model's config and tokenizer files as well, so they open with transformers. Where an adapter was
trained, adapter_model.safetensors and adapter_config.json stand in place of the model and its config, and PEFT opens
the folder.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from safetensors.torch import load_file, save_file
from torch import Tensor

from .errors import ApiError, FieldError

KINDS = ("weights", "sampler_weights")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# A model's id is made of its session's: `session-4f0c:train:0`.
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
TEMPORARY = ".partial-"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
MODEL_FILES = ("config.json", "generation_config.json", *TOKENIZER_FILES)


@dataclass(frozen=True)
class CheckpointRef:
    """``tinker://<model id>/<kind>/<name>``."""

    model_id: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"tinker://{self.model_id}/{self.kind}/{self.name}"

    @staticmethod
    def parse(path: str, field: str) -> CheckpointRef:
        parts = path.removeprefix("tinker://").split("/")
        if not path.startswith("tinker://") or len(parts) != 3 or parts[1] not in KINDS:
            raise FieldError(field, path, "must look like tinker://<model id>/weights|sampler_weights/<name>")
        if not MODEL_ID.fullmatch(parts[0]):
            raise FieldError(field, path, f"has a model id that cannot be one: {parts[0]!r}")
        check_name(parts[2], field)
        return CheckpointRef(*parts)


def check_name(name: str, field: str) -> str:
    if not NAME.fullmatch(name):
        raise FieldError(
            field, name, "must be up to 128 letters, digits, '.', '_' or '-', starting with a letter or digit"
        )
    return name


class CheckpointStore:
    """Everything expired, and every half-written folder of a killed process, is removed when the store opens."""

    def __init__(self, root: Path, model_folder: Path):
        self._root, self._model_folder = root, model_folder
        root.mkdir(parents=True, exist_ok=True)
        for leftover in root.glob(f"*/*/{TEMPORARY}*"):
            shutil.rmtree(leftover)
        self.remove_expired()

    def folder(self, ref: CheckpointRef) -> Path:
        return self._root / ref.model_id / ref.kind / ref.name

    def exists(self, ref: CheckpointRef) -> bool:
        return (self.folder(ref) / "meta.json").exists()

    def meta(self, ref: CheckpointRef, field: str = "path") -> dict[str, Any]:
        try:
            meta = orjson.loads((self.folder(ref) / "meta.json").read_bytes())
        except FileNotFoundError:
            meta = None
        if meta is None or _expired(meta):
            raise ApiError(404, f"Checkpoint {ref} does not exist (or expired)", path=field, value=str(ref))
        return meta

    def amend(self, ref: CheckpointRef, field: str = "path", **changes: Any) -> None:
        """Changes what is said about a checkpoint, such as when it expires; never what it holds."""
        meta = self.meta(ref, field) | changes
        file = self.folder(ref) / "meta.json"
        written = file.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        written.write_bytes(orjson.dumps(meta, option=orjson.OPT_INDENT_2))
        _sync(written)
        os.replace(written, file)

    def list(self, kind: str | None = None, unnamed: bool = False) -> Iterator[tuple[CheckpointRef, dict[str, Any]]]:
        """All whole checkpoints that have not expired, oldest first; ``unnamed``: also those that nobody named."""
        for ref, meta in self._all(kind):
            if not _expired(meta) and (unnamed or not meta.get("unnamed")):
                yield ref, meta

    def forget_unnamed(self, model_id: str, kept: int) -> None:
        """All but the last ones of a model's weights that only a sampling session knows."""
        unnamed = [ref for ref, meta in self._all("sampler_weights", model_id) if meta.get("unnamed")]
        for ref in unnamed[:-kept]:
            shutil.rmtree(self.folder(ref), ignore_errors=True)

    def _all(self, kind: str | None = None, model_id: str = "*") -> list[tuple[CheckpointRef, dict[str, Any]]]:
        found = []
        for file in self._root.glob(f"{model_id}/{kind or '*'}/*/meta.json"):
            *_, owner, found_kind, name, _ = file.parts
            if not name.startswith(TEMPORARY):
                with suppress(FileNotFoundError):  # removed meanwhile
                    found.append((CheckpointRef(owner, found_kind, name), orjson.loads(file.read_bytes())))
        return sorted(found, key=lambda item: item[1]["created"])

    def save(
        self,
        ref: CheckpointRef,
        weights: dict[str, Tensor],
        optimizer: dict[str, Tensor] | None,
        meta: dict[str, Any],
        ttl_seconds: float | None,
        overwrite: bool = False,
        adapter_config: dict[str, Any] | None = None,
    ) -> None:
        """``weights`` are the matrices of an adapter where its config is given."""
        self.remove_expired()
        target = self.folder(ref)
        if self.exists(ref) and not overwrite:
            raise exists_already(ref)
        temporary = target.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
        temporary.mkdir(parents=True)
        if adapter_config is None:
            save_file(weights, temporary / "model.safetensors", metadata={"format": "pt"})
        else:
            save_file(weights, temporary / "adapter_model.safetensors", metadata={"format": "pt"})
            config = orjson.dumps(adapter_config, option=orjson.OPT_INDENT_2)
            (temporary / "adapter_config.json").write_bytes(config)
        if optimizer is not None:
            save_file(optimizer, temporary / "optimizer.safetensors")
        for name in MODEL_FILES if adapter_config is None else TOKENIZER_FILES:
            if (self._model_folder / name).exists():
                shutil.copyfile(self._model_folder / name, temporary / name)
        now = time.time()
        meta = meta | {"created": now, "expires": None if ttl_seconds is None else now + ttl_seconds}
        (temporary / "meta.json").write_bytes(orjson.dumps(meta, option=orjson.OPT_INDENT_2))
        for file in temporary.iterdir():
            _sync(file)
        if target.exists():
            # A folder cannot replace a folder in one step: between these two lines the name has no checkpoint.
            os.rename(target, target.parent / f"{TEMPORARY}{uuid.uuid4().hex}")
        os.rename(temporary, target)
        _sync(target.parent)
        for replaced in target.parent.glob(f"{TEMPORARY}*"):
            shutil.rmtree(replaced)

    @property
    def base_folder(self) -> Path:
        return self._model_folder.resolve()

    def adapter(self, ref: CheckpointRef) -> dict[str, Tensor]:
        return load_file(self.folder(ref) / "adapter_model.safetensors")

    def optimizer(self, ref: CheckpointRef) -> dict[str, Tensor]:
        return load_file(self.folder(ref) / "optimizer.safetensors")

    def delete(self, ref: CheckpointRef) -> None:
        self.meta(ref)
        shutil.rmtree(self.folder(ref))

    def remove_expired(self) -> None:
        for ref, meta in self._all():
            if _expired(meta):
                shutil.rmtree(self.folder(ref), ignore_errors=True)


def exists_already(ref: CheckpointRef) -> ApiError:
    return ApiError(
        409, f"Checkpoint {ref} exists already: choose another name, or pass overwrite", path="path", value=str(ref)
    )


def _expired(meta: dict[str, Any]) -> bool:
    return meta.get("expires") is not None and meta["expires"] < time.time()


def _sync(path: Path) -> None:
    """Also after a loss of power a renamed checkpoint is whole."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
