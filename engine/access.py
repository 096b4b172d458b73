"""Who may ask: the token that an engine demands, and the addresses that a web page could misuse."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

TOKEN, TOKEN_FILE = "ASTROFLOW_ENGINE_TOKEN", "ASTROFLOW_ENGINE_TOKEN_FILE"
SHORTEST_TOKEN = 16
# Liveness only: for container health checks, which have no token.
OPEN_PATHS = frozenset({"/api/v1/healthz"})

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class TokenError(ValueError):
    """A token that cannot be used. The message never has it."""


def read_token(environment: dict[str, str] | os._Environ[str] = os.environ) -> str | None:
    """The variable, or the file that the other one names; None where neither is set. Raises TokenError."""
    token, file = environment.get(TOKEN), environment.get(TOKEN_FILE)
    if token and file:
        raise TokenError(f"{TOKEN} and {TOKEN_FILE} are both set: leave one out")
    if file:
        try:
            token = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenError(f"{TOKEN_FILE} names {file}, which cannot be read ({type(error).__name__})") from None
        if not token:
            raise TokenError(f"{TOKEN_FILE} names {file}, which is empty")
    if not token:
        return None
    if len(token) < SHORTEST_TOKEN or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise TokenError(f"{TOKEN} must be at least {SHORTEST_TOKEN} characters without spaces: openssl rand -hex 24")
    return token


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def guarded(app: Application, token: str | None, only_loopback: bool) -> Application:
    """The application behind its token, as ``Authorization: Bearer`` (OpenAI) or ``X-API-Key`` (Tinker).

    Without one, an engine on loopback still answers no web page: a browser sends an ``Origin`` with what a page posts,
    and a name that somebody made point at this machine (DNS rebinding) comes as another host.
    """
    expected = None if token is None else _digest(token)

    async def guard(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if expected is not None:
            if scope["path"] not in OPEN_PATHS and not _has(headers, expected):
                message = f"this engine demands its token ({TOKEN}), as Authorization: Bearer or X-API-Key"
                return await _refuse(scope, send, 401, message)
        elif "origin" in headers or (only_loopback and not is_loopback(_without_port(headers.get("host", "")))):
            return await _refuse(scope, send, 403, "this engine does not answer web pages")
        await app(scope, receive, send)

    return guard


def _has(headers: dict[str, str], expected: bytes) -> bool:
    bearer = re.fullmatch(r"[Bb]earer +(\S+)", headers.get("authorization", ""))
    given = [bearer[1]] if bearer else []
    given += [headers["x-api-key"]] if "x-api-key" in headers else []
    return any(hmac.compare_digest(_digest(one), expected) for one in given)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _without_port(host: str) -> str:
    return re.sub(r":\d{1,5}$", "", host)


async def _refuse(scope: dict[str, Any], send: Any, status: int, message: str) -> None:
    """Each protocol's own shape. Nothing heavy is imported here: this comes before torch."""
    openai = {"error": {"message": message, "type": "invalid_request_error", "code": status}}
    body = json.dumps(openai if scope["path"].startswith("/v1/") else {"detail": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
