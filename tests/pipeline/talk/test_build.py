"""The order of the pipeline, and the listening models it shares."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import InputAudioRawFrame, TextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator, LLMUserAggregator
from pipecat.processors.filters.function_filter import FunctionFilter
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy

from pipeline.settings import PipelineSettings
from pipeline.talk.audio_ends import IN_RATE, OUT_RATE, AudioInput, AudioOutput
from pipeline.talk.build import NO_TRANSCRIPT_SECONDS, Built, Parts, build, end_of_sound, make_analyzers
from pipeline.talk.floor import Floor
from pipeline.talk.loopback import Loopback
from pipeline.talk.not_own import NotOwn
from pipeline.talk.turn_stop import SmartTurnStop, WordlessStop
from pipeline.talk.unclear import Unclear
from tests.pipeline.local.sounds import without_words
from tests.pipeline.stage import FakeSink, Tail, running, until


class Ears(Tail):
    """Stands in for speech to text."""


class Brain(Tail):
    """Stands in for the brain."""


class Voice(Tail):
    """Stands in for text to speech."""


class Guard(Tail):
    """An agent's own processor between ears and brain."""


class Before(Tail):
    """What happens before the brain."""


class Filter(Tail):
    """An agent's own processor between brain and voice."""


BEFORE = {"role": "user", "content": "Hello."}


def built(settings: PipelineSettings) -> Built:
    loopback = Loopback(FakeSink(), OUT_RATE, IN_RATE, time.monotonic)
    parts = Parts(
        microphone=AudioInput(),
        stt=Ears(),  # type: ignore[arg-type]
        loopback=loopback,
        not_understood="Pardon?",
        llm_inputs=[Guard()],
        before_llm=Before(),
        llm=Brain(),  # type: ignore[arg-type]
        tts_inputs=[Filter()],
        tts=Voice(),  # type: ignore[arg-type]
        speaker=AudioOutput(loopback, lambda _: None, lambda _, __: None),
    )
    return build(parts, make_analyzers(settings), settings, messages=[BEFORE], tools=None, observers=[])


def silence() -> PipelineSettings:
    return PipelineSettings(turn="silence", turn_silence=0.6)


@pytest.mark.anyio
async def test_sound_and_words_go_through_the_parts_in_order() -> None:
    outer = built(silence()).worker._pipeline
    (inner,) = [processor for processor in outer.processors if isinstance(processor, Pipeline)]
    order = [type(processor) for processor in inner.processors]
    heard = [AudioInput, Ears, NotOwn, Unclear, Guard, Floor, LLMUserAggregator, FunctionFilter]
    expected = [*heard, Before, Brain, Filter, Voice, AudioOutput, LLMAssistantAggregator]
    assert [kind for kind in order if kind in expected] == expected


@pytest.mark.anyio
async def test_the_callers_sound_goes_no_further_than_the_ears() -> None:
    async with running(end_of_sound()) as stage:
        await stage.send(InputAudioRawFrame(bytes(1024), IN_RATE, 1), TextFrame("words"))
        await until(lambda: stage.tail.of(TextFrame), "words pass")
        assert stage.tail.of(InputAudioRawFrame) == []


@pytest.mark.anyio
async def test_a_conversation_begins_with_what_was_said_before_and_without_tools() -> None:
    made = built(silence())
    assert made.context.get_messages() == [BEFORE]
    assert not made.context.tools


def test_silence_alone_can_end_a_turn() -> None:
    settings = silence()
    analyzers = make_analyzers(settings)
    assert analyzers.turn is None


def test_the_listening_models_start_no_thread() -> None:
    before = threading.active_count()
    analyzers = make_analyzers(PipelineSettings(turn="smart", turn_timeout=0.9))
    assert analyzers.turn is not None
    assert analyzers.turn.params.stop_secs == 0.9
    assert threading.active_count() == before


def test_smart_turn_keeps_no_more_of_a_long_turn_than_it_looks_at() -> None:
    turn = make_analyzers(PipelineSettings(turn="smart")).turn
    turn.set_sample_rate(IN_RATE)
    for _ in range(75 * 50):
        turn.append_audio(bytes(2 * IN_RATE // 50), is_speech=True)
    assert 8 * 50 <= len(turn._audio_buffer) <= 20 * 50


def test_the_voice_detector_is_ready_and_hears_no_voice_in_silence() -> None:
    vad = make_analyzers(silence()).vad
    assert vad.sample_rate == IN_RATE
    assert vad.voice_confidence(bytes(2 * vad.num_frames_required())) < 0.5


@pytest.mark.anyio
@pytest.mark.parametrize("name", without_words())
async def test_no_sound_without_words_counts_as_speech(name: str) -> None:
    vad = make_analyzers(silence()).vad
    pcm = (np.nan_to_num(np.clip(without_words()[name], -1, 1)) * 32767).astype("<i2").tobytes()
    size = 2 * vad.num_frames_required()
    states = [await vad.analyze_audio(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    assert VADState.SPEAKING not in states


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("turn", "strategy"),
    [("silence", SpeechTimeoutUserTurnStopStrategy), ("smart", SmartTurnStop)],
)
async def test_the_end_of_a_turn_is_told_as_the_settings_say(turn: str, strategy: type) -> None:
    settings = PipelineSettings(turn=turn, turn_timeout=1.0)
    params = built(settings).aggregators.user()._params
    assert [type(each) for each in params.user_turn_strategies.stop] == [strategy, WordlessStop]
    assert params.user_turn_stop_timeout == 1.0 + NO_TRANSCRIPT_SECONDS
