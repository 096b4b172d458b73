"""A tiny random Llama with the Countdown tokenizer, and engines that serve it: in this process, or one to be killed."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import asyncio
import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
import uvicorn
from transformers import LlamaConfig, LlamaForCausalLM

from engine.__main__ import parse_arguments
from engine.base.countdown_corpus import EOS, TOKEN_ID, VOCABULARY, encode
from engine.base.train import build_tokenizer
from engine.build import build_service
from engine.server import create_app
from engine.service import Service

REPOSITORY = Path(__file__).parents[2]
NAME = "astroflow-countdown"
POSITIONS = 128


class Client:
    """JSON over loopback. ``training`` sends a request of the training protocol and waits for its future."""

    def __init__(self, url: str):
        self.url = url

    def call(
        self, path: str, body: Any = None, method: str | None = None, headers: dict | None = None
    ) -> tuple[int, Any]:
        data = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                content = response.read()
                return response.status, orjson.loads(content) if content else None
        except urllib.error.HTTPError as error:
            return error.code, orjson.loads(error.read())

    def ok(self, path: str, body: Any = None, **options: Any) -> Any:
        status, value = self.call(path, body, **options)
        assert status == 200, (status, value)
        return value

    def complete(self, prompt: Any, **parameters: Any) -> list[dict[str, Any]]:
        headers = parameters.pop("headers", None)
        body = {"model": NAME, "prompt": prompt, "max_tokens": 24, "seed": 1, "return_token_ids": True, "logprobs": 0}
        return self.ok("/v1/completions", body | parameters, headers=headers)["choices"]

    def retrieve(self, request_id: str) -> Any:
        while True:
            result = self.ok("/api/v1/retrieve_future", {"request_id": request_id})
            if result.get("type") != "try_again":
                return result

    def training(self, kind: str, **body: Any) -> Any:
        return self.retrieve(self.ok(f"/api/v1/{kind}", body)["request_id"])

    def new_model(self) -> str:
        return self.training("create_model", session_id="test", base_model=NAME)["model_id"]


def text_datum(
    text: str = "Use 4 9 3 to make 39\n9*4=36 left 3 36 to make 39\n", **inputs: list[float]
) -> dict[str, Any]:
    """One datum of the protocol, shifted; weight 1 on every target unless other inputs are given."""
    full = [*encode(text), EOS]
    inputs = inputs or {"weights": [1.0] * (len(full) - 1)}
    tensors = {name: {"data": values, "dtype": "float32"} for name, values in inputs.items()}
    tensors["target_tokens"] = {"data": full[1:], "dtype": "int64"}
    chunks = [{"type": "encoded_text", "tokens": full[:-1]}]
    return {"model_input": {"chunks": chunks}, "loss_fn_inputs": tensors}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(VOCABULARY), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=POSITIONS, pad_token_id=TOKEN_ID["<pad>"], eos_token_id=EOS,
        bos_token_id=None, tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def service(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    data = tmp_path_factory.mktemp("data")
    arguments = ["--model", str(model_folder), "--data", str(data), "--threads", "2", "--slots", "64"]
    return build_service(parse_arguments(arguments))


@pytest.fixture(scope="session")
def client(service: Service) -> Iterator[Client]:
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="warning", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    yield Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server.should_exit = True
    thread.join(10)


@contextmanager
def engine_process(model: Path, data: Path) -> Iterator[tuple[Client, subprocess.Popen]]:
    """An engine of its own, as a user starts it. It is killed at the end if the test did not."""
    command = [sys.executable, "-m", "engine", "--model", model, "--data", data, "--threads", "1", "--parent-pid"]
    process = subprocess.Popen(
        [*map(str, command), str(os.getpid())], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Client(json.loads(process.stdout.readline())["url"]), process
    finally:
        process.kill()
        process.wait()
