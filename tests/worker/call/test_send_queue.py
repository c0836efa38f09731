"""What is for the page is sent in order, and what cannot be sent is dropped."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.pipeline.stage import until
from worker.call.send_queue import SendQueue

pytestmark = pytest.mark.anyio


async def test_things_are_sent_in_order_and_one_that_fails_holds_up_none() -> None:
    sent = list[int]()

    async def send(number: int) -> None:
        await asyncio.sleep(0.01 / (number + 1))  # the later would be faster
        if number == 1:
            raise ConnectionError
        sent.append(number)

    queue = SendQueue("test")
    for number in range(4):
        queue.send(send(number))
    await until(lambda: sent == [0, 2, 3], "the others are sent")
    await queue.close(0.0)


async def test_what_comes_after_the_end_or_takes_too_long_is_not_sent() -> None:
    sent = list[str]()

    async def send(text: str, after: asyncio.Event | None = None) -> None:
        if after is not None:
            await after.wait()
        sent.append(text)

    queue = SendQueue("test")
    queue.send(send("never", asyncio.Event()))
    queue.send(send("behind it"))
    await queue.close(0.05)
    queue.send(send("too late"))
    gc.collect()  # a coroutine that was made and never awaited is an error now
    assert sent == []
