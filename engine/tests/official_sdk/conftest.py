"""One engine for all tests of the official SDK, started as a user starts it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..conftest import NAME, REPOSITORY, Client, engine_process

KEY = "tml-any-key-will-do"


@pytest.fixture(scope="package")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with engine_process(REPOSITORY / "engine/base/model", tmp_path_factory.mktemp("sdk")) as (client, _):
        yield client


@pytest.fixture(scope="package")
def service(engine: Client):
    from .support import SECONDS, tinker

    client = tinker.ServiceClient(base_url=engine.url, api_key=KEY, user_metadata={"who": "test"})
    yield client
    client.close("success").result(SECONDS)


@pytest.fixture(scope="package")
def rest(engine: Client):
    from .support import tinker

    return tinker.RestClient(base_url=engine.url, api_key=KEY)


@pytest.fixture(scope="package")
def base(service):
    from .support import SECONDS

    return service.create_sampling_client(base_model=NAME).result(SECONDS)
