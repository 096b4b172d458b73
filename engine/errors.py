"""Errors that a caller can act on: an HTTP status, the field at fault, its value, and what to do next."""

from __future__ import annotations

from typing import Any

VALUE_PREVIEW_CHARACTERS = 80


class ApiError(Exception):
    """Answered with ``status``. Raised inside a future it becomes ``category: "user"``: retrying cannot help."""

    def __init__(self, status: int, message: str, *, path: str | None = None, value: Any = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.path = path
        self.value = preview(value)


class FieldError(ApiError):
    """A request with a wrong field. ``path`` is the field as the caller wrote it, such as ``data[3].weights``."""

    def __init__(self, path: str, value: Any, expectation: str):
        super().__init__(400, f"{path}: {expectation}; got {preview(value)}", path=path, value=value)


def preview(value: Any) -> Any:
    """Short enough for an error message and a log line, whatever the request contained."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= VALUE_PREVIEW_CHARACTERS else text[:VALUE_PREVIEW_CHARACTERS] + "…"


def model_not_loaded(model_id: str) -> ApiError:
    return ApiError(
        404,
        f"Model {model_id!r} not loaded: the engine was restarted, or the model was unloaded. "
        "Create a new model and load_weights from its last checkpoint.",
        path="model_id",
        value=model_id,
    )


def unknown_version(name: str, known: list[str]) -> ApiError:
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    return ApiError(404, f"Model {name!r} does not exist. Known models: {listed}", path="model", value=name)
