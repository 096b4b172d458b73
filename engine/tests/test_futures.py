"""Results can be fetched for a while, then the protocol's 410 says that they are gone."""

import asyncio

import pytest

from engine.errors import ApiError, FieldError
from engine.futures import Futures


def test_a_future_is_pending_then_done_then_forgotten():
    async def scenario():
        now = 0.0
        futures = Futures(kept_seconds=60, clock=lambda: now)
        future = futures.create()
        pending = await futures.retrieve(future.request_id, wait_seconds=0)
        assert pending == {"type": "try_again", "request_id": future.request_id, "queue_state": "active"}
        now = 1000.0
        futures.finish(future, {"path": "x"}, None)
        assert await futures.retrieve(future.request_id) == {"path": "x"}
        now = 1059.0
        assert await futures.retrieve(future.request_id) == {"path": "x"}
        now = 1061.0
        with pytest.raises(ApiError) as error:
            await futures.retrieve(future.request_id)
        assert error.value.status == 410

    asyncio.run(scenario())


def test_a_waiting_poll_ends_when_the_future_does():
    async def scenario():
        futures = Futures()
        future = futures.create()
        poll = asyncio.ensure_future(futures.retrieve(future.request_id))
        await asyncio.sleep(0)
        futures.finish(future, {"ok": 1}, None)
        assert await poll == {"ok": 1}

    asyncio.run(scenario())


def test_failures_say_whose_they_are():
    async def scenario():
        futures = Futures()
        for error, category in ((FieldError("n", 0, "must be more"), "user"), (ValueError("oh"), "server")):
            future = futures.create()
            futures.finish(future, None, error)
            answer = await futures.retrieve(future.request_id)
            assert answer["category"] == category and str(error) in answer["error"]

    asyncio.run(scenario())
