"""A caller's messages are bounded in size, in number a second and in those that wait; what is over is counted."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from livekit import rtc

from tests.worker.rooms import Letter
from worker.call.intake import (
    BURST,
    MAX_STREAM_BYTES,
    MAX_TEXT_BYTES,
    PENDING,
    SAY_SECONDS,
    Intake,
    Tally,
    limit_streams,
    read_text,
)

pytestmark = pytest.mark.anyio


async def read(letter: Any) -> str:
    return await read_text(letter)


async def test_a_text_is_read_up_to_its_limit_and_no_further() -> None:
    letter = Letter(*["x" * 4096] * 1000)
    assert len(await read(letter)) == MAX_TEXT_BYTES
    assert letter.taken == MAX_TEXT_BYTES // 4096
    assert letter.closed


async def test_one_huge_chunk_is_cut() -> None:
    letter = Letter("x" * 10_000_000, "y")
    assert await read(letter) == "x" * MAX_TEXT_BYTES
    assert letter.taken == 1


def admitted(intake: Intake, count: int, now: float) -> int:
    """How many of so many messages are taken and done with at once."""
    taken = 0
    for _ in range(count):
        if intake.admits(now):
            taken += 1
            with intake:
                pass
    return taken


def test_a_burst_is_taken_and_then_so_many_a_second() -> None:
    intake = Intake("session_a", 0.0)
    assert admitted(intake, 2000, 0.0) == BURST
    assert admitted(intake, 2000, 1.0) == 5
    assert admitted(intake, 1, 1.1) == 0
    assert admitted(intake, 2000, 100.0) == BURST


def test_work_that_waits_is_bounded_however_slowly_it_comes() -> None:
    intake = Intake("session_a", 0.0)
    assert sum(intake.admits(float(at)) for at in range(PENDING * 3)) == PENDING
    with intake:
        pass
    assert intake.admits(1000.0)


def test_what_is_dropped_is_said_once_a_minute_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    intake = Intake("session_a", 0.0)
    with caplog.at_level(logging.WARNING):
        admitted(intake, BURST + 2000, 0.0)
        admitted(intake, BURST + 1, SAY_SECONDS)
        admitted(intake, 7, SAY_SECONDS)
        intake.close()
    assert [record.getMessage().split()[-1] for record in caplog.records] == ["count=1", "count=2000", "count=7"]


def test_a_tally_says_the_first_and_then_waits() -> None:
    tally = Tally()
    assert [tally.due(now) for now in (5.0, 6.0, 7.0, 5.0 + SAY_SECONDS)] == [1, 0, 0, 3]


async def test_a_room_is_connected_with_a_limit_for_every_stream() -> None:
    seen: list[rtc.RoomOptions] = []

    class Room:
        async def connect(self, url: str, token: str, options: Any = None) -> None:
            seen.append(options)

    room = Room()
    limit_streams(room)
    await room.connect("ws://here", "token", options=rtc.RoomOptions(auto_subscribe=False))
    (options,) = seen
    assert options.data_stream is not None
    assert (options.data_stream.max_payload_byte_length, options.auto_subscribe) == (MAX_STREAM_BYTES, False)
