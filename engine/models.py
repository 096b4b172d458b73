"""The models the engine holds: the base, live models in training, and published sampler versions.

Sampler versions are immutable, and any lane may ask for one. They are read from disk when first asked for, and a few of
them stay in memory. Live models belong to the training job whose turn it is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator
from typing import Any

from .checkpoints import CheckpointRef, CheckpointStore
from .errors import model_not_loaded, unknown_version
from .lora import Adapter, Lora, check_fits, describe, described
from .policy import Architecture, Parameters, Weights, load_weights
from .trainer import Adam, Datum, Loss, Outcome, Piece, TrainState

VERSIONS_IN_MEMORY = 8
LIVE_MODELS = 16


class Models:
    def __init__(self, base_name: str, architecture: Architecture, base: Parameters, store: CheckpointStore):
        self.base_name, self.architecture, self.store = base_name, architecture, store
        self._base = base
        self._live: OrderedDict[str, TrainState] = OrderedDict()
        self._versions: OrderedDict[str, Weights] = OrderedDict()
        self._lock = threading.Lock()

    # Sampling

    def version(self, name: str) -> Weights:
        """Weights of the base or of a sampler checkpoint. @throws ApiError 404 that lists what exists."""
        if name == self.base_name:
            return self._base.weights
        with self._lock:
            if name not in self._versions:
                ref = self._published(name)
                lora = described(self.store.meta(ref, "model"))
                saved = self._read(ref, lora).weights
                self._keep_version(name, saved if lora is None else self._adapter(lora).merge(saved))
            self._versions.move_to_end(name)
            return self._versions[name]

    def _published(self, name: str) -> CheckpointRef:
        for ref, _ in self.store.list("sampler_weights", unnamed=True):
            if str(ref) == name:
                return ref
        raise unknown_version(name, [self.base_name, *(str(ref) for ref, _ in self.store.list("sampler_weights"))])

    def _keep_version(self, name: str, weights: Weights) -> None:
        """Called with the lock held."""
        self._versions[name] = weights
        while len(self._versions) > VERSIONS_IN_MEMORY:
            self._versions.popitem(last=False)

    # Training. Each of these runs in the order of the model's sequence numbers, one at a time.

    def create(self, model_id: str, lora: Lora | None = None, seed: int = 0) -> dict[str, Any]:
        """All parameters are trained, or an adapter that starts as ``seed`` says."""
        if lora is None:
            state = TrainState(self.architecture, self._base.copy())
        else:
            adapter = self._adapter(lora)
            state = TrainState(self.architecture, Parameters.pack(adapter.fresh(seed)), adapter)
        self._live[model_id] = state
        while len(self._live) > LIVE_MODELS:
            self._live.popitem(last=False)
        return {"model_id": model_id}

    def unload(self, model_id: str) -> dict[str, Any]:
        self._state(model_id)
        del self._live[model_id]
        return {"model_id": model_id}

    def load(self, model_id: str, ref: CheckpointRef, optimizer: bool) -> dict[str, Any]:
        """Puts a new model where a checkpoint was. ``optimizer`` false: moments and step count start afresh."""
        meta = self.store.meta(ref)
        state = self._state(model_id)
        lora = None if state.adapter is None else state.adapter.lora
        check_fits(described(meta), lora, "path", str(ref))
        state.parameters.flat.copy_(self._read(ref, lora).flat)
        if optimizer:
            saved = self.store.optimizer(ref)
            state.moment1.copy_(saved["moment1"])
            state.moment2.copy_(saved["moment2"])
            state.steps = meta["optimizer_steps"]
        return {"path": str(ref), "model_id": model_id}

    def forward_backward(
        self, model_id: str, data: list[Datum], loss: Loss, backward: bool
    ) -> Generator[list[Piece], list[Outcome], dict[str, Any]]:
        state = self._state(model_id)
        total, logprobs = yield from state.forward_backward(data, loss, backward)
        outputs = [{"logprobs": {"data": lp, "dtype": "float32", "shape": [len(lp)]}} for lp in logprobs]
        return {
            "loss_fn_output_type": "ArrayRecord",
            "loss_fn_outputs": outputs,
            "metrics": {"loss:sum": total, "tokens:sum": float(sum(map(len, logprobs)))},
        }

    def step(self, model_id: str, adam: Adam) -> dict[str, Any]:
        return {"metrics": self._state(model_id).step(adam)}

    def save(self, model_id: str, ref: CheckpointRef, ttl_seconds: float | None, overwrite: bool) -> dict[str, Any]:
        """A training checkpoint, or one for sampling, which can be sampled as soon as this is done."""
        state = self._state(model_id)
        sampler = ref.kind == "sampler_weights"
        optimizer = None if sampler else {"moment1": state.moment1, "moment2": state.moment2}
        adapter = state.adapter
        meta = {"base_model": self.base_name, "optimizer_steps": state.steps} | describe(adapter and adapter.lora)
        if adapter is None:
            weights, config = self.architecture.state_from(state.parameters.weights), None
        else:
            weights, config = state.parameters.weights, adapter.peft_config(str(self.store.base_folder))
        self.store.save(ref, weights, optimizer, meta, ttl_seconds, overwrite, config)
        if sampler:
            published = state.parameters.copy().weights if adapter is None else state.weights()
            with self._lock:
                self._keep_version(str(ref), published)
        return {"path": str(ref)}

    def _adapter(self, lora: Lora) -> Adapter:
        return Adapter(lora, self.architecture.linear_layers, self._base.weights)

    def _read(self, ref: CheckpointRef, lora: Lora | None) -> Parameters:
        """What was trained."""
        if lora is None:
            return load_weights(self.architecture, self.store.folder(ref))
        return Parameters.pack(self._adapter(lora).check(self.store.adapter(ref)))

    def _state(self, model_id: str) -> TrainState:
        state = self._live.get(model_id)
        if state is None:
            raise model_not_loaded(model_id)
        self._live.move_to_end(model_id)
        return state
