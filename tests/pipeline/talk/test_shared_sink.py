import asyncio

import pytest

from pipeline.talk.shared_sink import CHUNK, SharedSink
from tests.pipeline.stage import FakeSink, until

pytestmark = pytest.mark.anyio

OURS, THEIRS = b"\5\0" * CHUNK, b"\1\0" * 10


class SlowSink(FakeSink):
    """Takes a chunk only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.room = asyncio.Semaphore(0)

    async def write(self, pcm: bytes) -> None:
        await self.room.acquire()
        await super().write(pcm)


async def test_a_sentence_of_ours_is_played_whole_between_two_chunks() -> None:
    sink, heard = SlowSink(), list[float]()
    shared = SharedSink(sink, heard.append)
    ours = asyncio.create_task(shared.interject(OURS))
    await asyncio.sleep(0)
    theirs = asyncio.create_task(shared.write(THEIRS))
    for _ in range(4):
        sink.room.release()
    await asyncio.gather(ours, theirs)
    assert b"".join(sink.chunks) == OURS + THEIRS
    assert len(heard) == 1


async def test_an_interruption_ends_a_sentence_of_ours() -> None:
    sink = SlowSink()
    shared = SharedSink(sink, lambda _: None)
    ours = asyncio.create_task(shared.interject(OURS))
    sink.room.release()
    await until(lambda: sink.chunks, "it begins")
    shared.clear()
    sink.room.release()
    await ours
    assert len(sink.chunks) == 2 < len(OURS) / CHUNK + 1
    assert sink.clears == 1


async def test_what_is_queued_of_ours_is_none_of_the_pipelines() -> None:
    sink = FakeSink()
    shared = SharedSink(sink, lambda _: None)
    sink.unplayed = 0.2
    assert shared.queued() == 0.2
    await shared.interject(OURS)
    assert shared.queued() < 0.05
    shared.clear()
    sink.unplayed = 0.2
    assert shared.queued() == 0.2
