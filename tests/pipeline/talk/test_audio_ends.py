"""The speaker in a real Pipecat pipeline: what enters the context is what was played, not what was queued."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair

from pipeline.talk.audio_ends import CHUNK_10MS, IN_RATE, OUT_RATE, AudioInput, AudioOutput, HeardFrame, audio_params
from tests.pipeline.stage import FakeSink, running, sentence, until

pytestmark = pytest.mark.anyio

SAID = "One two six ten"  # 15 characters


def a_speaker(sink: FakeSink) -> tuple[AudioOutput, list[str]]:
    begun: list[str] = []
    return AudioOutput(sink, begun.append, lambda _, __: None), begun


def a_speaker_of_asides(sink: FakeSink) -> tuple[AudioOutput, list[tuple[str, bool]]]:
    told: list[tuple[str, bool]] = []
    return AudioOutput(sink, lambda _: None, lambda words, cut_off: told.append((words, cut_off))), told


async def test_a_sentence_goes_on_only_when_it_has_been_played() -> None:
    sink = FakeSink()
    speaker, begun = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(*sentence(SAID, 0.4))
        await until(lambda: sink.draining, "all of the sentence is written")
        assert begun == [SAID]
        assert sink.seconds == pytest.approx(0.4)
        assert stage.tail.of(TTSTextFrame) == []
        sink.finish()
        await until(lambda: stage.tail.of(TTSTextFrame), "the text goes on")
        assert [frame.text for frame in stage.tail.of(TTSTextFrame)] == [SAID]


async def test_the_second_sentence_begins_when_the_first_has_been_played() -> None:
    sink = FakeSink()
    speaker, begun = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(*sentence("One two.", 0.2), *sentence("Six ten.", 0.2))
        await until(lambda: sink.draining == 1, "the first is written")
        assert begun == ["One two."]
        sink.finish()
        await until(lambda: sink.draining == 2, "the second is written")
        assert [frame.text for frame in stage.tail.of(TTSTextFrame)] == ["One two."]
        sink.finish()
        await until(lambda: len(stage.tail.of(TTSTextFrame)) == 2, "both are said")
        assert begun == ["One two.", "Six ten."]


async def test_an_interruption_silences_the_sink_and_leaves_the_words_that_were_heard() -> None:
    sink = FakeSink()
    speaker, _ = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(*sentence(SAID, 2.0))
        await until(lambda: sink.draining, "all of the sentence is written")
        sink.unplayed = 1.0  # half of it: 7.5 of 15 characters
        await stage.send(InterruptionFrame())
        await until(lambda: stage.tail.of(InterruptionFrame), "the interruption goes on")
        await until(lambda: stage.tail.of(BotStoppedSpeakingFrame), "the agent counts as silent")
        assert sink.clears == 1
        assert [frame.text for frame in stage.tail.of(TTSTextFrame)] == ["One two"]
        assert isinstance(stage.tail.of(TTSTextFrame)[0], HeardFrame)


async def test_the_heard_words_arrive_before_the_interruption() -> None:
    sink = FakeSink()
    speaker, _ = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(*sentence(SAID, 2.0))
        await until(lambda: sink.draining, "all of the sentence is written")
        sink.unplayed = 1.0
        await stage.send(InterruptionFrame())
        await until(lambda: stage.tail.of(InterruptionFrame), "the interruption goes on")
        kinds = [type(frame) for frame in stage.tail.of(HeardFrame, InterruptionFrame)]
        assert kinds == [HeardFrame, InterruptionFrame]


async def test_of_a_sentence_still_being_made_only_what_was_played_counts() -> None:
    sink = FakeSink()
    speaker, _ = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(*sentence("One two six ten and so on for quite a while", 0.6, whole=False))
        await until(lambda: sink.seconds >= 0.59, "the first chunk is written")
        await stage.send(InterruptionFrame())
        await until(lambda: stage.tail.of(InterruptionFrame), "the interruption goes on")
        assert [frame.text for frame in stage.tail.of(HeardFrame)] == ["One two"]  # 9 characters fit into 0.6 s


async def test_an_interruption_before_the_first_sound_leaves_no_words() -> None:
    sink = FakeSink()
    speaker, _ = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(*sentence(SAID, 1.0))
        await until(lambda: sink.draining, "all of the sentence is written")
        sink.unplayed = 1.0
        await stage.send(InterruptionFrame())
        await until(lambda: stage.tail.of(InterruptionFrame), "the interruption goes on")
        assert stage.tail.of(TTSTextFrame) == []


async def test_an_interruption_of_silence_leaves_nothing() -> None:
    sink = FakeSink()
    speaker, _ = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(InterruptionFrame())
        await until(lambda: stage.tail.of(InterruptionFrame), "the interruption goes on")
        assert stage.tail.of(TTSTextFrame) == []


async def test_after_an_interruption_the_next_sentence_is_whole() -> None:
    sink = FakeSink()
    speaker, _ = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(*sentence(SAID, 1.0))
        await until(lambda: sink.draining, "all of the sentence is written")
        sink.unplayed = 1.0
        await stage.send(InterruptionFrame())
        await until(lambda: stage.tail.of(InterruptionFrame), "the interruption goes on")
        sink.instant = True
        await stage.send(*sentence("Yes?", 0.2))
        await until(lambda: stage.tail.of(TTSTextFrame), "the next is said")
        assert [frame.text for frame in stage.tail.of(TTSTextFrame)] == ["Yes?"]


async def test_only_heard_words_stay_in_the_conversation() -> None:
    sink = FakeSink()
    speaker, _ = a_speaker(sink)
    context = LLMContext([])
    pair = LLMContextAggregatorPair(context)
    async with running(speaker, pair.assistant()) as stage:
        await stage.send(LLMFullResponseStartFrame(), *sentence("Hello there.", 0.2))
        await until(lambda: sink.draining == 1, "the first is written")
        sink.finish()
        await stage.send(*sentence(SAID, 2.0), LLMFullResponseEndFrame())
        await until(lambda: sink.draining == 2, "the second is written")
        sink.unplayed = 1.0
        await stage.send(InterruptionFrame())
        await until(lambda: context.get_messages(), "the turn is in the conversation")
        assert context.get_messages() == [{"role": "assistant", "content": "Hello there. One two"}]


async def test_of_a_sentence_under_way_the_words_played_by_now_are_known() -> None:
    sink = FakeSink()
    speaker, _ = a_speaker(sink)
    async with running(speaker) as stage:
        assert speaker.words_heard() == ""
        await stage.send(*sentence(SAID, 2.0))
        await until(lambda: sink.draining, "all of the sentence is written")
        sink.unplayed = 2.0
        assert speaker.words_heard() == ""
        sink.unplayed = 1.0
        assert speaker.words_heard() == "One two"
        assert speaker.words_heard() == "One two", "looking changes nothing"
        sink.unplayed = 0.0
        assert speaker.words_heard() == SAID
        sink.finish()
        await until(lambda: stage.tail.of(TTSTextFrame), "the text goes on")
        assert speaker.words_heard() == "", "it is the context's now"


async def test_an_aside_is_told_when_it_has_been_heard_and_never_enters_the_context() -> None:
    sink = FakeSink()
    speaker, told = a_speaker_of_asides(sink)
    context = LLMContext([])
    async with running(speaker, LLMContextAggregatorPair(context).assistant()) as stage:
        await stage.send(*sentence(SAID, 0.4, aside=True))
        await until(lambda: sink.draining, "all of it is written")
        assert (told, speaker.words_heard()) == ([], "")
        sink.finish()
        await until(lambda: told, "it is told")
        assert told == [(SAID, False)]
        await stage.send(InterruptionFrame())
        await until(lambda: stage.tail.of(InterruptionFrame), "the interruption goes on")
        assert told == [(SAID, False)]
        assert context.get_messages() == []


async def test_of_an_aside_that_is_cut_off_the_words_heard_are_told_and_nothing_enters_the_context() -> None:
    sink = FakeSink()
    speaker, told = a_speaker_of_asides(sink)
    context = LLMContext([])
    async with running(speaker, LLMContextAggregatorPair(context).assistant()) as stage:
        await stage.send(*sentence(SAID, 2.0, aside=True), *sentence("Six ten.", 0.2))
        await until(lambda: sink.draining, "all of it is written")
        sink.unplayed = 1.0
        await stage.send(InterruptionFrame())
        await until(lambda: stage.tail.of(InterruptionFrame), "the interruption goes on")
        assert told == [("One two", True)]
        assert stage.tail.of(TTSTextFrame) == []
        assert context.get_messages() == []


async def test_the_first_sound_is_told_once() -> None:
    sink = FakeSink(instant=True)
    speaker, _ = a_speaker(sink)
    told: list[float] = []
    speaker.first_audio = lambda: told.append(sink.seconds)
    async with running(speaker) as stage:
        await stage.send(*sentence("One.", 0.2), *sentence("Two.", 0.2))
        await until(lambda: len(stage.tail.of(TTSTextFrame)) == 2, "both are said")
        assert told == [0.0]


async def test_sound_is_written_in_pieces_of_40_ms() -> None:
    sink = FakeSink(instant=True)
    speaker, _ = a_speaker(sink)
    async with running(speaker) as stage:
        await stage.send(*sentence("One.", 0.1))
        await until(lambda: stage.tail.of(TTSTextFrame, BotStoppedSpeakingFrame), "it is said")
        assert {len(chunk) for chunk in sink.chunks} == {2 * OUT_RATE * CHUNK_10MS // 100}
        assert len(stage.tail.of(BotStartedSpeakingFrame)) == 1


async def test_what_is_heard_before_the_pipeline_runs_comes_first() -> None:
    microphone = AudioInput()
    await microphone.hear(b"\1\0" * 160)
    await microphone.hear(b"\2\0" * 160)
    async with running(microphone) as stage:
        await microphone.hear(b"\3\0" * 160)
        await until(lambda: len(stage.tail.of(InputAudioRawFrame)) == 3, "all is heard")
        heard = stage.tail.of(InputAudioRawFrame)
        assert [frame.audio[:2] for frame in heard] == [b"\1\0", b"\2\0", b"\3\0"]
        assert {(frame.sample_rate, frame.num_channels) for frame in heard} == {(IN_RATE, 1)}


def test_no_silence_is_added_behind_what_the_agent_says() -> None:
    params = audio_params()
    assert params.audio_out_end_silence_secs == 0
    assert (params.audio_in_sample_rate, params.audio_out_sample_rate) == (IN_RATE, OUT_RATE)
