"""What arrives on the wire: protobuf bodies, compression, limits, refused requests, sessions, pages."""

import struct

import numpy as np
import pytest

from engine.errors import ApiError
from engine.service import MAX_BODY_BYTES
from engine.tinker_proto import decode_forward_backward, encode_result

from .conftest import NAME, text_datum

FORWARD_BACKWARD = "/api/v1/forward_backward"
PROTOBUF = {"content-type": "application/x-protobuf"}


def varint(value):
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number, content):
    """Bytes, a text, a number, or a float as one field of a message."""
    if isinstance(content, float):
        return varint(number << 3 | 1) + struct.pack("<d", content)
    if isinstance(content, int):
        return varint(number << 3) + varint(content % (1 << 64))
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def as_protobuf(model, seq, datum, loss="cross_entropy", chunk=None, extra=b""):
    """A `ForwardBackwardRequest` written by hand from the JSON form of one datum."""
    tokens = np.array(datum["model_input"]["chunks"][0]["tokens"], "<i4").tobytes()
    message = field(1, chunk or field(1, field(1, tokens)))
    for name, tensor in datum["loss_fn_inputs"].items():
        kind, dtype = ("<i8", 2) if tensor["dtype"] == "int64" else ("<f4", 1)
        dense = field(1, np.array(tensor["data"], kind).tobytes()) + field(3, dtype)
        message += field(2, field(1, name) + field(2, dense))
    return field(1, model) + field(2, seq) + field(3, message) + field(4, loss) + extra


def test_protobuf_and_json_bodies_are_the_same_request(client):
    model, datum = client.new_model(), text_datum()
    body = {"model_id": model, "seq_id": 1, "forward_backward_input": {"data": [datum], "loss_fn": "cross_entropy"}}
    result = client.retrieve(client.ok(FORWARD_BACKWARD, body)["request_id"])
    second = client.ok(FORWARD_BACKWARD, as_protobuf(model, 2, datum), headers=PROTOBUF)
    assert client.retrieve(second["request_id"]) == result
    assert client.ok(FORWARD_BACKWARD, as_protobuf(model, 2, datum), headers=PROTOBUF) == second
    assert client.call(FORWARD_BACKWARD, as_protobuf(model, 2, datum, "ppo"), headers=PROTOBUF)[0] == 400
    only_forward = as_protobuf(model, 3, datum, extra=field(6, 1))
    client.retrieve(client.ok(FORWARD_BACKWARD, only_forward, headers=PROTOBUF)["request_id"])


def test_every_kind_of_tensor_is_read():
    half = np.array([1.5, -2.0], np.float32)
    tensors = {
        "a": field(1, half.tobytes()) + field(3, 1) + field(4, 2) + field(4, 1),
        "b": field(1, np.array([-1, 2], "<i8").tobytes()) + field(3, 2) + field(4, varint(2) + varint(1)),
        "c": field(1, np.array([-1, 2], "<i4").tobytes()) + field(3, 3),
        "d": field(1, (half.view(np.uint32) >> 16).astype("<u2").tobytes()) + field(3, 4),
    }
    inputs = b"".join(field(2, field(1, name) + field(2, tensor)) for name, tensor in tensors.items())
    config = field(7, field(1, "high") + field(2, field(1, 1.25))) + field(5, field(1, "low") + field(2, 0.75))
    named = field(7, field(1, "kind") + field(2, field(2, "hard")))
    request = decode_forward_backward(field(3, inputs) + config + named)["forward_backward_input"]
    read = {name: (t["data"].tolist(), t["dtype"]) for name, t in request["data"][0]["loss_fn_inputs"].items()}
    assert read == {
        "a": ([1.5, -2.0], "float32"), "b": ([-1, 2], "int64"), "c": ([-1, 2], "int64"), "d": ([1.5, -2.0], "float32"),
    }  # fmt: skip
    assert [request["data"][0]["loss_fn_inputs"][name]["shape"] for name in "ab"] == [[2, 1], [2, 1]]
    assert request["loss_fn_config"] == {"high": 1.25, "low": 0.75, "kind": "hard"}


def test_what_a_protobuf_body_asks_for_in_vain_is_named(client):
    model, datum = client.new_model(), text_datum()
    image = field(2, field(1, b"...") + field(2, "png"))
    sparse = field(2, field(1, "weights") + field(2, field(2, b"") + field(3, 1)))
    tokens = field(1, field(1, field(1, np.array([5], "<i4").tobytes())))
    targets = field(2, field(1, "target_tokens") + field(2, field(1, np.array([5], "<i8").tobytes()) + field(3, 2)))
    text = field(7, field(1, "clip_low_threshold") + field(2, field(2, "hard")))
    for body, path in (
        (as_protobuf(model, 1, datum, chunk=image), "data[0].model_input.chunks[0].type"),
        (field(1, model) + field(4, "cross_entropy") + field(3, tokens + targets + sparse), "loss_fn_inputs.weights"),
        (as_protobuf(model, 1, datum, "ppo", extra=text), "loss_fn_config.clip_low_threshold"),
    ):
        status, refusal = client.call(FORWARD_BACKWARD, body, headers=PROTOBUF)
        assert status == 400 and refusal["path"].endswith(path)


def test_bytes_that_are_no_such_message_are_refused_and_nothing_else_happens():
    whole = as_protobuf("m", 1, text_datum())
    decode_forward_backward(whole)
    rng = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in range(1, len(whole), 7)]
    for _ in range(300):
        noise = bytearray(whole)
        for at in rng.integers(0, len(noise), 4):
            noise[at] = rng.integers(0, 256)
        damaged.append(bytes(noise))
    refused = 0
    for body in damaged:
        try:
            decode_forward_backward(body)
        except ApiError as error:
            assert error.status == 400
            refused += 1
    assert refused > len(damaged) / 4


def test_results_without_a_message_of_their_own_stay_json():
    assert encode_result({"path": "tinker://m/weights/a"}) is None
    assert encode_result({"error": "no", "category": "user"}) is None


def test_compressed_bodies_are_bounded_after_decompression_too(client):
    zstandard = pytest.importorskip("zstandard")
    headers = PROTOBUF | {"content-encoding": "zstd"}
    model = client.new_model()
    body = zstandard.ZstdCompressor().compress(as_protobuf(model, 1, text_datum()))
    assert "metrics" in client.retrieve(client.ok(FORWARD_BACKWARD, body, headers=headers)["request_id"])
    bomb = zstandard.ZstdCompressor().compress(bytes(MAX_BODY_BYTES + 1))
    assert client.call(FORWARD_BACKWARD, bomb, headers=headers)[0] == 413
    assert client.call(FORWARD_BACKWARD, b"not zstd", headers=headers)[0] == 400
    assert client.call(FORWARD_BACKWARD, body, headers=PROTOBUF | {"content-encoding": "br"})[0] == 415


def one_pass(client, model, seq, datum):
    inputs = {"data": [datum], "loss_fn": "cross_entropy"}
    return client.call(FORWARD_BACKWARD, {"model_id": model, "seq_id": seq, "forward_backward_input": inputs})


@pytest.mark.parametrize("behind_arrives_first", [False, True])
def test_a_refused_request_does_not_hold_up_those_behind_it(client, behind_arrives_first):
    model = client.new_model()
    assert one_pass(client, model, 1, text_datum())[0] == 200
    wrong, step = text_datum(weights=[1.0]), {"model_id": model, "seq_id": 3}
    early = client.ok("/api/v1/optim_step", step)["request_id"] if behind_arrives_first else None
    assert one_pass(client, model, 2, wrong)[0] == 400
    stepped = client.retrieve(early or client.ok("/api/v1/optim_step", step)["request_id"])
    assert stepped["category"] == "user" and "an earlier forward_backward failed" in stepped["error"]
    status, late = one_pass(client, model, 2, text_datum())
    assert status == 409 and "later ones have been executed" in late["detail"]
    assert client.ok("/api/v1/save_weights", {"model_id": model, "seq_id": 4, "path": "a"})


def test_a_model_is_named_after_the_session_that_this_engine_opened(client):
    session = client.ok("/api/v1/create_session", {"tags": [], "user_metadata": {"a": "b"}})["session_id"]
    body = {"session_id": session, "model_seq_id": 3, "base_model": NAME}
    assert client.ok("/api/v1/create_model", body)["model_id"] == f"{session}:train:3"
    assert client.ok(f"/api/v1/sessions/{session}")["training_run_ids"] == [f"{session}:train:3"]
    # A session from before a restart: its old models' checkpoints are on disk under such names.
    elsewhere = client.ok("/api/v1/create_model", body | {"session_id": "session-of-before"})["model_id"]
    assert elsewhere.startswith("run-")
    assert client.call("/api/v1/sessions/session-nowhere")[0] == 404


def test_a_sampling_session_stands_for_one_model_and_counts_its_requests(client):
    session = client.ok("/api/v1/create_session", {"tags": []})["session_id"]
    named = {"session_id": session, "sampling_session_seq_id": 0, "base_model": NAME}
    sampler = client.ok("/api/v1/create_sampling_session", named)["sampling_session_id"]
    assert client.ok("/api/v1/create_sampling_session", named)["sampling_session_id"] == sampler
    prompt = {"chunks": [{"type": "encoded_text", "tokens": [5, 6]}]}
    body = {"sampling_session_id": sampler, "seq_id": 0, "prompt": prompt, "sampling_params": {"max_tokens": 4}}
    first, again = (client.ok("/api/v1/asample", body | {"num_samples": 2}) for _ in range(2))
    assert first == again and len(set(first["sample_sequence_ids"])) == 2
    assert len(client.retrieve(first["request_id"])["sequences"]) == 2
    assert client.call("/api/v1/asample", body | {"num_samples": 3})[0] == 409
    assert client.call("/api/v1/asample", body | {"sampling_session_id": "session-x:sample:0"})[0] == 404
    assert client.call("/api/v1/asample", body | {"base_model": NAME, "seq_id": 1})[1]["path"] == "model_path"


def test_pages(client):
    whole = client.ok("/api/v1/sessions")["sessions"]
    assert client.ok("/api/v1/sessions?limit=2&offset=1")["sessions"] == whole[1:3]
    runs = client.ok("/api/v1/training_runs?limit=1&offset=1")
    assert len(runs["training_runs"]) == 1 and runs["cursor"] == {
        "limit": 1, "offset": 1, "total_count": len(client.ok("/api/v1/training_runs")["training_runs"]),
    }  # fmt: skip
    assert client.call("/api/v1/checkpoints?limit=-1")[1]["path"] == "limit"
    assert client.call("/api/v1/training_runs/run-nowhere")[0] == 404
