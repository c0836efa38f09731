"""When a turn ends: real frames, a clock that is told the time, and a model that hears what the test says."""

from __future__ import annotations

import asyncio

import pytest
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.user_stop import BaseUserTurnStopStrategy

from pipeline.frames import NoWordsFrame
from pipeline.talk.turn_stop import PauseStop, SmartTurnStop, WordlessStop
from tests.pipeline.stage import until

pytestmark = pytest.mark.anyio

TIMEOUT = 1.2


class Hears:
    """Smart Turn that gives these probabilities one after the other, the last for ever."""

    def __init__(self, *probabilities: float) -> None:
        self.probabilities, self.asked = list(probabilities), 0

    def append_audio(self, buffer: bytes, is_speech: bool) -> None:
        """Hear."""

    def set_sample_rate(self, sample_rate: int) -> None:
        """Any will do."""

    def update_vad_start_secs(self, vad_start_secs: float) -> None:
        """Any will do."""

    def clear(self) -> None:
        """Nothing is kept."""

    async def cleanup(self) -> None:
        """No threads."""

    async def probability(self) -> float:
        self.asked += 1
        return self.probabilities.pop(0) if len(self.probabilities) > 1 else self.probabilities[0]


class Turn:
    """A strategy at work, and the seconds of a pause after which it ended the turn."""

    def __init__(self, strategy: PauseStop) -> None:
        self.strategy = strategy
        self.ended: list[float] = []
        self._began = 0.0

        async def stopped(_: BaseUserTurnStopStrategy, __: object) -> None:
            self.ended.append(now() - self._began)
            await strategy.handle_user_turn_stopped()

        strategy.add_event_handler("on_user_turn_stopped", stopped)

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            if isinstance(frame, VADUserStoppedSpeakingFrame):
                self._began = now()
            await self.strategy.process_frame(frame)

    async def end(self) -> float:
        await until(lambda: self.ended, "the turn ends")
        await self.strategy.cleanup()
        return self.ended[0]


def now() -> float:
    """Seconds of a call, on the loop's clock."""
    return asyncio.get_running_loop().time()


def words(text: str) -> TranscriptionFrame:
    return TranscriptionFrame(text, "", "", finalized=True)


def spoken() -> list[Frame]:
    return [
        STTMetadataFrame(service_name="stt", ttfs_p99_latency=1.0),
        VADUserStartedSpeakingFrame(start_secs=0.2),
        VADUserStoppedSpeakingFrame(stop_secs=0.2),
    ]


async def ends(ears: Hears, *frames: Frame) -> float:
    turn = Turn(SmartTurnStop(ears, TIMEOUT, now))
    await turn.send(*spoken(), *frames)
    return await turn.end()


async def test_a_finished_sentence_ends_the_turn_as_soon_as_its_words_are_there() -> None:
    ears = Hears(0.9)
    assert await ends(ears, words("Hello there.")) < 0.2
    assert ears.asked == 1


async def test_a_sentence_that_sounds_unfinished_is_listened_to_again() -> None:
    ears = Hears(0.3, 0.9)
    assert 0.2 <= await ends(ears, words("It was the best of times,")) < 0.4
    assert ears.asked == 2


async def test_a_dangling_word_waits_for_the_timeout_whatever_the_model_hears() -> None:
    assert TIMEOUT <= await ends(Hears(0.98), words("I would like to")) < TIMEOUT + 0.5


async def test_a_whole_sentence_does_not_wait_for_a_model_that_doubts_it() -> None:
    assert 0.6 <= await ends(Hears(0.3), words("It was the winter of despair.")) < 0.8


async def test_a_caller_who_goes_on_has_the_turn_and_all_words_count() -> None:
    turn = Turn(SmartTurnStop(Hears(0.3, 0.9), TIMEOUT, now))
    await turn.send(*spoken(), words("I would like"), *spoken())
    await turn.send(words("to"))
    assert await turn.end() >= TIMEOUT


async def test_words_that_are_not_known_to_be_all_are_waited_for() -> None:
    late = TranscriptionFrame("Hello there.", "", "")
    assert 0.8 <= await ends(Hears(0.9), InterimTranscriptionFrame("Hello", "", ""), late) < 1.1


async def test_words_that_come_after_their_turn_end_one_of_their_own() -> None:
    turn = Turn(SmartTurnStop(Hears(1.0), TIMEOUT, now))
    await turn.strategy.handle_user_turn_started()
    await turn.send(words("Hello there."))
    await until(lambda: turn.ended, "the turn ends")
    await turn.strategy.cleanup()


async def test_a_sound_without_words_is_soon_over() -> None:
    turn = Turn(WordlessStop(now))
    await turn.send(*spoken(), NoWordsFrame())
    assert 0.3 <= await turn.end() < 0.6


async def test_where_speech_to_text_says_nothing_it_has_its_time() -> None:
    turn = Turn(WordlessStop(now))
    await turn.send(*spoken())
    assert 1.3 <= await turn.end() < 1.7


async def test_a_turn_with_words_is_not_without() -> None:
    turn = Turn(WordlessStop(now))
    await turn.send(*spoken(), words("Hello."), VADUserStartedSpeakingFrame(start_secs=0.2))
    await turn.send(VADUserStoppedSpeakingFrame(stop_secs=0.2), NoWordsFrame())
    with pytest.raises(AssertionError):
        await until(lambda: turn.ended, "the turn ends", seconds=0.6)
    await turn.strategy.cleanup()
