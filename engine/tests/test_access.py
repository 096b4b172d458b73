"""The engine's token, and what answers without one."""

import asyncio
import json

import pytest

from engine.access import TokenError, guarded, read_token

TOKEN = "a-token-of-an-engine"


async def engine(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def ask(path="/v1/completions", token=TOKEN, only_loopback=True, **headers):
    """Status, headers and body of the answer to a request with these headers; ``_`` stands for ``-``."""
    sent = []

    async def send(message):
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "headers": raw}
    asyncio.run(guarded(engine, token, only_loopback)(scope, None, send))
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


def test_the_token_is_taken_as_either_protocol_sends_it():
    assert ask(authorization=f"Bearer {TOKEN}")[0] == 200
    assert ask("/api/v1/create_session", x_api_key=TOKEN)[0] == 200
    # The Tinker client of a service behind both: one of the two is right.
    assert ask(authorization="Bearer of-something-else", x_api_key=TOKEN)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": TOKEN},
        {"authorization": f"Basic {TOKEN}"},
        {"x_api_key": ""},
        {"x_api_key": "\xff\xfe"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/completions", "/api/v1/create_model", "/astroflow/calls", "/nowhere"])
def test_nothing_answers_without_it(path, headers):
    status, sent, body = ask(path, **headers)
    assert status == 401 and sent[b"www-authenticate"] == b"Bearer"
    said = body["error"]["message"] if path.startswith("/v1/") else body["detail"]
    assert "ASTROFLOW_ENGINE_TOKEN" in said and TOKEN not in json.dumps(body)


def test_liveness_needs_none():
    assert ask("/api/v1/healthz")[0] == 200
    assert ask("/api/v1/healthz/../create_model")[0] == 401


def test_without_a_token_programs_of_this_machine_are_answered_and_web_pages_are_not():
    assert ask(token=None, host="127.0.0.1:8000")[0] == 200
    assert ask(token=None, host="localhost:8000")[0] == 200
    assert ask(token=None, host="[::1]:8000")[0] == 200
    assert ask(token=None, host="evil.example:8000")[0] == 403
    assert ask(token=None, host="127.0.0.1:8000", origin="http://evil.example")[0] == 403
    # With --allow-remote its name is not known.
    assert ask(token=None, only_loopback=False, host="engine:8000")[0] == 200
    assert ask(token=None, only_loopback=False, host="engine:8000", origin="http://evil.example")[0] == 403


def test_the_token_comes_from_a_variable_or_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token({}) is None
    assert read_token({"ASTROFLOW_ENGINE_TOKEN": TOKEN}) == TOKEN
    assert read_token({"ASTROFLOW_ENGINE_TOKEN_FILE": str(file)}) == TOKEN


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ASTROFLOW_ENGINE_TOKEN": "short"}, "at least 16 characters"),
        ({"ASTROFLOW_ENGINE_TOKEN": "words with spaces in it"}, "without spaces"),
        ({"ASTROFLOW_ENGINE_TOKEN_FILE": "/nowhere/token"}, "cannot be read"),
        ({"ASTROFLOW_ENGINE_TOKEN": TOKEN, "ASTROFLOW_ENGINE_TOKEN_FILE": "/x"}, "leave one out"),
    ],
)
def test_a_token_that_cannot_be_used_is_refused_and_not_shown(environment, message):
    with pytest.raises(TokenError, match=message) as refused:
        read_token(environment)
    assert environment.get("ASTROFLOW_ENGINE_TOKEN", "\0") not in str(refused.value)
