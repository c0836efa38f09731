"""What a stock page is told in `lk.transcription` in a real call: pages key, place and replace lines by stream id."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import NamedTuple

import pytest
from livekit import rtc

from client.caller import ATTRIBUTE_FINAL, ATTRIBUTE_SEGMENT, TOPIC_TRANSCRIPTION, Caller

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


class Stream(NamedTuple):
    """One stream of text as it came."""

    id: str
    segment: str
    final: bool
    text: str


class Page:
    """Reads the transcription in the place of the caller's own transcript, in the order in which its streams began."""

    def __init__(self, caller: Caller) -> None:
        self.readings: list[asyncio.Task[Stream]] = []
        self._caller = caller
        caller.room.unregister_text_stream_handler(TOPIC_TRANSCRIPTION)
        caller.room.register_text_stream_handler(TOPIC_TRANSCRIPTION, self._begins)

    def _begins(self, reader: rtc.TextStreamReader, _: str) -> None:
        self.readings.append(asyncio.create_task(self._read(reader)))

    @staticmethod
    async def _read(reader: rtc.TextStreamReader) -> Stream:
        attributes = reader.info.attributes or {}
        final = attributes[ATTRIBUTE_FINAL] == "true"
        return Stream(reader.info.stream_id, attributes[ATTRIBUTE_SEGMENT], final, await reader.read_all())

    @property
    def streams(self) -> list[Stream]:
        """Those that are complete."""
        return [reading.result() for reading in self.readings if reading.done()]

    async def until(self, text: str, *, final: bool) -> Stream:
        """The first stream with this text in it, once it is there."""

        def there() -> Stream | None:
            return next((each for each in self.streams if text in each.text and each.final is final), None)

        return await self._caller.wait_for(there, f"“{text}”, final: {final}", 15)


async def test_each_line_keeps_one_stream_id_and_ends_before_the_agents_next(caller, speech):
    page = Page(caller)
    await caller.start()
    await caller.join()
    greeting = await page.until("help", final=True)
    await caller.speak(speech("What can you do?"))
    spoken = await page.until("What", final=True)
    cut = await page.until("do sums", final=False)  # its second sentence begins
    await caller.write("My name is Ada.")
    answer = await page.until("Ada", final=True)
    assert all(stream.id == stream.segment for stream in page.streams)
    assert len({greeting.id, spoken.id, cut.id, answer.id}) == 4
    agent = [stream for stream in page.streams if stream.id != spoken.id]
    lines = [list(streams) for _, streams in groupby(agent, key=lambda stream: stream.id)]
    assert [line[0].id for line in lines] == [greeting.id, cut.id, answer.id]
    for line in lines:
        assert [stream.final for stream in line] == [False] * (len(line) - 1) + [True]
    growing = [stream.text for stream in lines[1][:-1]]
    assert len(growing) == 2
    assert growing[1].startswith(growing[0])
    heard = lines[1][-1].text
    assert growing[1].startswith(heard)
    assert len(heard) < len(growing[1])
