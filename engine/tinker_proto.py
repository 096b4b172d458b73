"""The training protocol's protobuf messages (package ``tinker_public``), read and written field by field.

Requests become what the JSON body would have been, with numpy arrays in place of lists; results become bytes. The
messages are few and flat, and most of their bytes are little-endian arrays, so a wire codec is all it takes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from .errors import ApiError

PROTOBUF = "application/x-protobuf"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FLOAT32, INT64, INT32, BFLOAT16 = 1, 2, 3, 4
STOP_REASONS = {"stop": 0, "length": 1}
# What stands at a position without alternatives.
NO_TOKEN, NO_LOGPROB = 0, -99999.0

Value = int | memoryview


def decode_forward_backward(body: bytes) -> dict[str, Any]:
    """``ForwardBackwardRequest`` as ``{model_id, seq_id?, forward_only?, forward_backward_input}``.

    @throws ApiError 400 for bytes that are not such a message
    """
    try:
        return _forward_backward(memoryview(body))
    except (IndexError, ValueError, TypeError, struct.error) as error:
        raise ApiError(400, f"The body is not a ForwardBackwardRequest: {error}") from None


def _forward_backward(message: memoryview) -> dict[str, Any]:
    request: dict[str, Any] = {}
    config: dict[str, Any] = {}
    inputs: dict[str, Any] = {"data": []}
    for number, value in _fields(message):
        if number == 1:
            request["model_id"] = _text(value)
        elif number == 2 and value:
            request["seq_id"] = _int64(value)
        elif number == 3:
            inputs["data"].append(_datum(value))
        elif number == 4:
            inputs["loss_fn"] = _text(value)
        elif number == 5:
            name, number64 = _entry(value)
            config.setdefault(name, _float64(number64))
        elif number == 6:
            request["forward_only"] = bool(value)
        elif number == 7:  # the same entries again, where a value may be a text
            name, config_value = _entry(value)
            config[name] = _config_value(config_value)
    if config:
        inputs["loss_fn_config"] = config
    return request | {"forward_backward_input": inputs}


def _datum(message: Value) -> dict[str, Any]:
    chunks: list[dict[str, Any]] = []
    inputs: dict[str, Any] = {}
    for number, value in _fields(message):
        if number == 1:
            chunks += [_chunk(kind, chunk) for kind, chunk in _fields(value)]
        elif number == 2:
            name, tensor = _entry(value)
            inputs[name] = _tensor(tensor)
    return {"model_input": {"chunks": chunks}, "loss_fn_inputs": inputs}


def _chunk(kind: int, message: Value) -> dict[str, Any]:
    if kind != 1:
        return {"type": {2: "image", 3: "dmel"}.get(kind, f"chunk {kind}")}
    tokens = b"".join(_bytes(value) for number, value in _fields(message) if number == 1)
    return {"type": "encoded_text", "tokens": np.frombuffer(tokens, "<i4").astype(np.int64)}


def _tensor(message: Value) -> dict[str, Any]:
    data: Value = memoryview(b"")
    dtype, shape, sparse = FLOAT32, [], False
    for number, value in _fields(message):
        if number == 1:
            data = value
        elif number == 2:
            sparse = True
        elif number == 3:
            dtype = value
        elif number == 4:
            shape += [_int64(v) for v in ([value] if isinstance(value, int) else _varints(value))]
    if dtype == BFLOAT16:  # the upper half of a float32
        array = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        formats = {FLOAT32: "<f4", INT64: "<i8", INT32: "<i4"}
        if dtype not in formats:
            raise ValueError(f"data type {dtype} is unknown")
        array = np.frombuffer(data, formats[dtype])
    if dtype == INT32:
        array = array.astype(np.int64)
    tensor: dict[str, Any] = {"data": array, "dtype": "int64" if dtype in (INT64, INT32) else "float32"}
    if shape:
        tensor["shape"] = shape
    if sparse:
        tensor["sparse_crow_indices"] = []
    return tensor


def _entry(message: Value) -> tuple[str, Value]:
    """One entry of a map: its key, a text, and its value as it is on the wire."""
    found = dict(_fields(message))
    return _text(found.get(1, memoryview(b""))), found.get(2, memoryview(b""))


def _config_value(message: Value) -> float | str:
    for number, value in _fields(message):
        return _float64(value) if number == 1 else _text(value)
    raise ValueError("a loss_fn_config value is empty")


def _fields(message: Value) -> Iterator[tuple[int, Value]]:
    """(field number, value): an int, or the bytes of anything else. Groups do not occur."""
    if isinstance(message, int):
        raise ValueError("a number stands where a message belongs")
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} is unknown")
        if at + size > len(message):
            raise ValueError("it ends in the middle of a field")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number has more than 64 bits")


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _int64(value: Value) -> int:
    """Negative numbers are written as their two's complement in 64 bits."""
    if not isinstance(value, int):
        raise ValueError("bytes stand where a number belongs")
    return value - (1 << 64) if value >> 63 else value


def _float64(value: Value) -> float:
    if len(value) == 0:  # a default of zero is left out
        return 0.0
    return struct.unpack("<d", value)[0]


def _text(value: Value) -> str:
    return _bytes(value).decode()


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where bytes belong")
    return bytes(value)


def encode_result(answer: dict[str, Any]) -> bytes | None:
    """A sample's or a pass's result as protobuf; None for every other answer, which stays JSON."""
    if answer.get("type") == "sample":
        return _sample_response(answer)
    if "loss_fn_outputs" in answer:
        return _forward_backward_output(answer)
    return None


def _sample_response(answer: dict[str, Any]) -> bytes:
    message = b"".join(_field(1, _sequence(sequence)) for sequence in answer["sequences"])
    if (logprobs := answer.get("prompt_logprobs")) is not None:
        message += _field(2, _array(logprobs, "<f4"))
    if (topk := answer.get("topk_prompt_logprobs")) is not None:
        message += _field(3, _topk(topk))
    return message


def _sequence(sequence: dict[str, Any]) -> bytes:
    return (
        _number(1, STOP_REASONS[sequence["stop_reason"]])
        + _field(2, _array(sequence["tokens"], "<i4"))
        + _field(3, _array(sequence["logprobs"], "<f4"))
    )


def _topk(rows: list[list[tuple[int, float]] | None]) -> bytes:
    k = max((len(row) for row in rows if row), default=0)
    ids, logprobs = np.full((len(rows), k), NO_TOKEN), np.full((len(rows), k), NO_LOGPROB)
    for at, row in enumerate(rows):
        for rank, (token, logprob) in enumerate(row or ()):
            ids[at, rank], logprobs[at, rank] = token, logprob
    return _field(1, _array(ids, "<i4")) + _field(2, _array(logprobs, "<f4")) + _number(3, k) + _number(4, len(rows))


def _forward_backward_output(answer: dict[str, Any]) -> bytes:
    """One record for all data: every output's arrays one behind another, with byte offsets between them."""
    outputs = answer["loss_fn_outputs"]
    record = _field(1, b"ArrayRecord")
    for name in outputs[0] if outputs else ():
        arrays = [np.asarray(output[name]["data"], "<f4") for output in outputs]
        offsets = np.cumsum([0, *(array.nbytes for array in arrays)])
        tensor = _field(1, np.concatenate(arrays).tobytes()) + _field(2, _array(offsets, "<i8")) + _number(3, FLOAT32)
        record += _field(2, _field(1, name.encode()) + _field(2, tensor))
    record += _number(3, len(outputs))
    metrics = b"".join(
        _field(3, _field(1, name.encode()) + bytes([2 << 3 | FIXED64]) + struct.pack("<d", value))
        for name, value in answer["metrics"].items()
    )
    return _field(1, answer["loss_fn_output_type"].encode()) + _field(2, record) + metrics


def _array(values: Any, kind: str) -> bytes:
    return np.asarray(values).astype(kind).tobytes()


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | BYTES]) + _written(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3 | VARINT]) + _written(value)


def _written(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
