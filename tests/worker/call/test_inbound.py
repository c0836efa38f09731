"""The bounds of what a caller may send, and a real room that ends a stream beyond them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from livekit import rtc

from tests.dispatcher.fakes import Clock
from tests.worker.rooms import Bytes
from worker.call.inbound import (
    BURST,
    MESSAGES_A_SECOND,
    MOST_PENDING,
    MOST_STREAM_BYTES,
    REPORT_SECONDS,
    MessageLimit,
    limit_streams,
    read_up_to,
)

pytestmark = pytest.mark.anyio


def test_who_types_too_fast_is_heard_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(0.0)
    limit = MessageLimit("session_a", clock)
    with caplog.at_level(logging.WARNING):
        assert [limit.admit(0) for _ in range(BURST + 500)] == [True] * BURST + [False] * 500
        clock.seconds += 1
        assert sum(limit.admit(0) for _ in range(100)) == MESSAGES_A_SECOND
        clock.seconds += REPORT_SECONDS
        assert limit.admit(0)
        for _ in range(BURST):
            limit.admit(0)
    assert [record.getMessage() for record in caplog.records] == [
        "session=session_a event=messages_refused count=1",
        "session=session_a event=messages_refused count=595",
    ]


def test_who_waits_for_many_answers_waits() -> None:
    limit = MessageLimit("session_a", Clock(0.0))
    assert not limit.admit(MOST_PENDING)
    assert limit.admit(MOST_PENDING - 1)


async def test_a_stream_is_read_up_to_its_limit_and_closed() -> None:
    stream = Bytes(b"x" * 100_000, "audio/pcm")
    assert len(b"".join(await read_up_to(stream, 2500))) == 2500
    assert stream.given == 3000
    assert stream.closed


async def test_of_a_stream_that_breaks_off_what_came_is_had() -> None:
    class Broken(Bytes):
        async def __aiter__(self) -> Any:
            yield b"abc"
            raise rtc.StreamError("oversized")

    stream = Broken(b"", "audio/pcm")
    assert await read_up_to(stream, 100) == [b"abc"]
    assert stream.closed


async def test_a_room_is_connected_with_the_limit() -> None:
    seen: list[rtc.RoomOptions] = []

    class Room:
        async def connect(self, url: str, token: str, options: rtc.RoomOptions = rtc.RoomOptions()) -> None:  # noqa: B008
            seen.append(options)

    room = Room()
    limit_streams(room)
    await room.connect("ws://here", "token", options=rtc.RoomOptions(auto_subscribe=False))
    (options,) = seen
    assert options.data_stream is not None
    assert (options.data_stream.max_payload_byte_length, options.auto_subscribe) == (MOST_STREAM_BYTES, False)
