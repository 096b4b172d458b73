"""``python -m engine --model DIR --data DIR``: serves one model and its fine-tuned versions on one machine.

When it serves, it prints exactly one line of JSON on stdout: ``{"ready": true, "url": …, "model": NAME}``.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from .access import TOKEN, TOKEN_FILE, TokenError, guarded, is_loopback, read_token

log = logging.getLogger("astroflow.engine")

LOCK_WAIT_SECONDS = 10.0
PARENT_POLL_SECONDS = 0.5
GRACE_SECONDS = 3
# Every lane asks for the interpreter between any two torch operations; with Python's default of 5 ms, one busy HTTP
# request could stretch a 4 ms decode step to twice its length.
SWITCH_INTERVAL_SECONDS = 2e-4
# Names and numbers of malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__)
    parser.add_argument(
        "--model", type=Path, required=True, help="folder with config.json, safetensors, tokenizer.json"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder for checkpoints and the usage journal")
    parser.add_argument("--name", default="astroflow-countdown", help="what clients call the base model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument(
        "--threads", type=int, default=min(2, os.cpu_count() or 1), help="compute lanes of one torch thread each"
    )
    parser.add_argument("--slots", type=int, default=256, help="sequences decoded at once, over all lanes")
    parser.add_argument("--future-ttl", type=float, default=900.0, help="seconds that a finished result can be fetched")
    parser.add_argument("--parent-pid", type=int, help="end when this process is gone")
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        help=f"without a token ({TOKEN}), serve everybody who can reach --host nevertheless",
    )
    arguments = parser.parse_args(argv)
    try:
        arguments.token = read_token()
    except TokenError as error:
        parser.error(str(error))
    if arguments.token is None and not arguments.allow_remote and not is_loopback(arguments.host):
        parser.error(
            f"--host {arguments.host} can be reached by others: set {TOKEN} (or {TOKEN_FILE}) to a token that they "
            "must know, or add --allow-remote where everybody who can reach it may use it"
        )
    if not (arguments.model / "config.json").exists():
        parser.error(f"--model {arguments.model} has no config.json: it must be a folder as save_pretrained writes it")
    for name in ("threads", "slots"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return arguments


def lock(data: Path) -> int:
    """Two engines on one data folder would mix their journals. A killed engine's lock is free at once."""
    handle = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit(f"another engine uses {data}: stop it, or give this one another --data folder")
            time.sleep(0.1)


def follow_parent(pid: int) -> None:
    """Ends this process when the parent does, also when the parent was killed and could not tell."""
    is_parent = os.getppid() == pid

    def gone() -> bool:
        if is_parent:
            return os.getppid() != pid
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    def watch() -> None:
        while not gone():
            time.sleep(PARENT_POLL_SECONDS)
        log.info("process %d is gone: ending", pid)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(2 * GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


def keep_freed_memory() -> None:
    """Tells glibc to keep what was freed for the next allocation; elsewhere it does nothing.

    By default the tensors of a step are given back to the system and fetched again, which stops all threads of the
    process each time: two lanes trained no faster than one, and twice as fast with this.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in ((M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, 1 << 30), (M_TOP_PAD, 64 << 20)):
        mallopt(parameter, value)


def main() -> None:
    arguments = parse_arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    if arguments.parent_pid is not None:
        follow_parent(arguments.parent_pid)
    # Before torch is imported, which reads these once. The lanes are the threads: see lane.py.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    keep_freed_memory()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    arguments.data.mkdir(parents=True, exist_ok=True)
    held = lock(arguments.data)
    try:
        asyncio.run(serve(arguments))
    finally:
        os.close(held)


async def serve(arguments: argparse.Namespace) -> None:
    import uvicorn

    from .build import build_service
    from .server import create_app

    service = build_service(arguments)
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((arguments.host, arguments.port))
    listener.listen(1024)
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    app = guarded(create_app(service), arguments.token, is_loopback(arguments.host))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS, http="httptools", ws="none",
    )  # fmt: skip
    url = f"http://{host}:{listener.getsockname()[1]}"
    log.info("serving %s at %s", arguments.name, url)
    # The socket listens already, so a client that reads this line may connect at once.
    print(json.dumps({"ready": True, "url": url, "model": arguments.name}), flush=True)
    try:
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        service.compute.stop()
        service.journal.close()


if __name__ == "__main__":
    main()
