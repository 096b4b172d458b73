"""Reads a JSON object field by field. Hand-written so that arrays of a million numbers are checked by numpy at once
and every refusal names the field and the value."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from .errors import ApiError, FieldError

_REQUIRED: Any = object()


def parse_body(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise FieldError("body", value, "must be a JSON object")
    return value


class Fields:
    """The fields of one object. A null counts as absent. ``done`` refuses whatever was not asked for."""

    def __init__(self, value: Any, path: str = ""):
        if not isinstance(value, dict):
            raise FieldError(path or "body", value, "must be an object")
        self._left = {name: v for name, v in value.items() if v is not None}
        self._path = path

    def path(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def has(self, name: str) -> bool:
        return name in self._left

    def any(self, name: str, default: Any = _REQUIRED) -> Any:
        if name in self._left:
            return self._left.pop(name)
        if default is _REQUIRED:
            raise FieldError(self.path(name), None, "is required")
        return default

    def string(self, name: str, default: Any = _REQUIRED) -> Any:
        value = self.any(name, default)
        if value is not default and (not isinstance(value, str) or not value):
            raise FieldError(self.path(name), value, "must be a non-empty string")
        return value

    def boolean(self, name: str, default: Any = _REQUIRED) -> Any:
        value = self.any(name, default)
        if value is not default and not isinstance(value, bool):
            raise FieldError(self.path(name), value, "must be true or false")
        return value

    def integer(self, name: str, low: int, high: int, default: Any = _REQUIRED) -> Any:
        value = self.any(name, default)
        if value is default:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise FieldError(self.path(name), value, f"must be a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float, default: Any = _REQUIRED) -> Any:
        value = self.any(name, default)
        if value is default:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise FieldError(self.path(name), value, f"must be a number from {low} to {high}")
        return float(value)

    def object(self, name: str, default: Any = _REQUIRED) -> Any:
        value = self.any(name, default)
        return default if value is default else Fields(value, self.path(name))

    def list(self, name: str, high: int) -> list[Any]:
        value = self.any(name)
        if not isinstance(value, list) or not 1 <= len(value) <= high:
            shown = f"a list of {len(value)}" if isinstance(value, list) else value
            raise FieldError(self.path(name), shown, f"must be a list of 1 to {high} items")
        return value

    def ignore(self, *names: str) -> None:
        for name in names:
            self._left.pop(name, None)

    def done(self) -> None:
        for name, value in self._left.items():
            raise FieldError(self.path(name), value, "is not a field of this request")


def token_ids(value: Any, path: str, vocabulary: int) -> np.ndarray:
    """A non-empty list (or array) of token ids as int64."""
    if not isinstance(value, (list, np.ndarray)) or not len(value):
        raise FieldError(path, value, "must be a non-empty list of token ids")
    ids = numbers(value, path, integral=True)
    outside = (ids < 0) | (ids >= vocabulary)
    if outside.any():
        at = int(outside.argmax())
        raise FieldError(f"{path}[{at}]", int(ids[at]), f"must be a token id from 0 to {vocabulary - 1}")
    return ids


def numbers(value: Any, path: str, *, integral: bool) -> np.ndarray:
    """A flat list (or array) of finite numbers, as int64 or float32."""
    wanted = "whole numbers" if integral else "finite numbers"
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):  # ragged lists, integers beyond 64 bits
        raise FieldError(path, value, f"must be a flat list of {wanted}") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in ("i" if integral else "iuf")):
        at = _first_odd(value, integral) if isinstance(value, list) else None
        raise FieldError(
            path if at is None else f"{path}[{at}]", value if at is None else value[at], f"must be {wanted}"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.int64 if integral else np.float32)
    if not integral and not np.isfinite(array).all():
        at = int((~np.isfinite(array)).argmax())
        raise FieldError(f"{path}[{at}]", float(value[at]), "must be finite in single precision")
    return array


def _first_odd(values: list[Any], integral: bool) -> int | None:
    allowed = (int,) if integral else (int, float)
    return next((i for i, v in enumerate(values) if isinstance(v, bool) or not isinstance(v, allowed)), None)
