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
from .policy import Architecture, Parameters, load_weights
from .trainer import Adam, Datum, Loss, Outcome, Piece, TrainState

VERSIONS_IN_MEMORY = 8
LIVE_MODELS = 16


class Models:
    def __init__(self, base_name: str, architecture: Architecture, base: Parameters, store: CheckpointStore):
        self.base_name, self.architecture, self.store = base_name, architecture, store
        self._base = base
        self._live: OrderedDict[str, TrainState] = OrderedDict()
        self._versions: OrderedDict[str, Parameters] = OrderedDict()
        self._lock = threading.Lock()

    # Sampling

    def version(self, name: str) -> Parameters:
        """Parameters of the base or of a sampler checkpoint. @throws ApiError 404 that lists what exists."""
        if name == self.base_name:
            return self._base
        with self._lock:
            if name not in self._versions:
                known = [self.base_name, *(str(ref) for ref, _ in self.store.list("sampler_weights"))]
                if name not in known:
                    raise unknown_version(name, known)
                folder = self.store.folder(CheckpointRef.parse(name, "model"))
                self._keep_version(name, load_weights(self.architecture, folder))
            self._versions.move_to_end(name)
            return self._versions[name]

    def _keep_version(self, name: str, parameters: Parameters) -> None:
        """Called with the lock held."""
        self._versions[name] = parameters
        while len(self._versions) > VERSIONS_IN_MEMORY:
            self._versions.popitem(last=False)

    # Training. Each of these runs in the order of the model's sequence numbers, one at a time.

    def create(self, model_id: str) -> dict[str, Any]:
        self._live[model_id] = TrainState(self.architecture, self._base.copy())
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
        parameters = load_weights(self.architecture, self.store.folder(ref))
        state.parameters.flat.copy_(parameters.flat)
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
        weights = self.architecture.state_from(state.parameters.weights)
        optimizer = None if sampler else {"moment1": state.moment1, "moment2": state.moment2}
        meta = {"base_model": self.base_name, "optimizer_steps": state.steps, "is_lora": False}
        self.store.save(ref, weights, optimizer, meta, ttl_seconds, overwrite)
        if sampler:
            with self._lock:
                self._keep_version(str(ref), state.parameters.copy())
        return {"path": str(ref)}

    def _state(self, model_id: str) -> TrainState:
        state = self._live.get(model_id)
        if state is None:
            raise model_not_loaded(model_id)
        self._live.move_to_end(model_id)
        return state
