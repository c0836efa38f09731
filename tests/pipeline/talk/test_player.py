"""Sound that can be held: silence at once, and nothing lost."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.talk.player import PATIENCE, Player
from tests.pipeline.stage import FakeSink, until

pytestmark = pytest.mark.anyio
RATE = 24_000


def pcm(seconds: float) -> bytes:
    return b"\1\0" * round(seconds * RATE)


class Account:
    """Adds up what was played."""

    seconds = 0.0

    def add(self, seconds: float) -> None:
        self.seconds += seconds


async def test_a_sound_silences_it_and_afterwards_the_rest_is_played() -> None:
    sink, account = FakeSink(instant=True), Account()
    player = Player(sink, RATE, account.add)
    await player.write(pcm(1.0))
    sink.unplayed = 0.6
    player.hold()
    assert sink.clears == 1
    assert account.seconds == pytest.approx(0.4)
    more = asyncio.create_task(player.write(pcm(0.5)))
    player.go_on()
    assert await more
    assert sink.seconds == pytest.approx(1.0 + 1.0 + 0.5), "the sentence's beginning, and what came meanwhile"
    assert account.seconds == pytest.approx(1.5)


async def test_what_was_held_is_waited_for() -> None:
    sink, account = FakeSink(), Account()
    player = Player(sink, RATE, account.add)
    await player.write(pcm(1.0))
    drained = asyncio.create_task(player.drain())
    await until(lambda: sink.draining, "it waits for the end")
    sink.unplayed = 1.0
    player.hold()
    await asyncio.sleep(0)
    assert not drained.done()
    player.go_on()
    await until(lambda: sink.draining == 2, "it waits for the rest")
    sink.finish()
    await drained
    assert account.seconds == pytest.approx(1.0)


async def test_an_interruption_drops_what_was_held() -> None:
    sink = FakeSink(instant=True)
    player = Player(sink, RATE, lambda _: None)
    await player.write(pcm(1.0))
    player.hold()
    waiting = [asyncio.create_task(player.write(pcm(0.5))), asyncio.create_task(player.ready())]
    await asyncio.sleep(0)
    player.drop()
    assert await asyncio.gather(*waiting) == [False, False]
    player.go_on()
    assert await player.write(pcm(0.2))
    assert sink.seconds == pytest.approx(1.2)


async def test_noise_that_goes_on_and_on_does_not_mute_the_agent_until_words_come() -> None:
    sink = FakeSink(instant=True)
    player = Player(sink, RATE, lambda _: None)
    await player.write(pcm(1.0))
    for _ in range(PATIENCE):
        player.hold()
        player.go_on()
        assert await player.ready()
    clears = sink.clears
    player.hold()
    assert sink.clears == clears
    player.drop()
    await player.write(pcm(1.0))
    player.hold()
    assert sink.clears == clears + 2
    player.close()
