"""How a call's pipeline is put together, on one screen; conversation.py calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.metrics.metrics import TurnMetricsData
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.filters.function_filter import FunctionFilter
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
)
from pipecat.turns.user_stop import BaseUserTurnStopStrategy, SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from pipeline.local import lane
from pipeline.settings import PipelineSettings
from pipeline.talk.audio_ends import IN_RATE, OUT_RATE, AudioInput, AudioOutput
from pipeline.talk.floor import Floor
from pipeline.talk.loopback import Loopback
from pipeline.talk.not_own import NotOwn
from pipeline.talk.turn_stop import SmartTurnStop, WordlessStop
from pipeline.talk.unclear import Unclear
from pipeline.talk.unspoken import Unspoken

NO_TRANSCRIPT_SECONDS = 1.5  # after the turn's own timeout: how long words may still come before a turn counts as empty

# Of Pipecat's volume from 0 to 1, below which a voice is not the caller's. Its own 0.6 is reached by a soft speaker
# (-36 dBFS) 0.1 s later, and a barge-in waits for it; no sound without words passes either of them.
MIN_VOLUME = 0.5

MOST_CHUNKS = 1000  # of 20 ms or more; then those older than what Smart Turn looks at are dropped

Chunks = list[tuple[float, npt.NDArray[np.int16]]]


@dataclass(frozen=True, slots=True)
class Analyzers:
    """The listening models of one call: voice activity, and (unless silence alone decides) the end of a turn."""

    vad: VADAnalyzer
    turn: ThriftySmartTurn | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is made of, in the order in which sound and words go through it."""

    microphone: AudioInput
    stt: FrameProcessor
    loopback: Loopback
    not_understood: str
    llm_inputs: Sequence[FrameProcessor]
    before_llm: FrameProcessor
    llm: FrameProcessor
    tts_inputs: Sequence[FrameProcessor]
    tts: FrameProcessor
    speaker: AudioOutput


@dataclass(frozen=True, slots=True)
class Built:
    """A pipeline that is ready to run: Pipecat's worker, the two ends of the context, and who gives the turn."""

    worker: PipelineWorker
    context: LLMContext
    aggregators: LLMContextAggregatorPair
    floor: Floor


class ThriftySmartTurn(LocalSmartTurnAnalyzerV3):
    """Smart Turn that hands back the memory of a prediction: 30 MB of a call's own, else kept to its end.

    It keeps no more sound than it looks at, however long the caller speaks without a pause.
    """

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        """Take sound in, as Pipecat does, and forget what is too old to be looked at."""
        state = super().append_audio(buffer, is_speech)
        if len(self._audio_buffer) > MOST_CHUNKS:
            self._audio_buffer = _newest(self._audio_buffer, int(self.params.max_duration_secs * self.sample_rate))
        return state

    async def probability(self) -> float:
        """That the turn is finished, 0 to 1; 1 if no voice was heard. Takes 0.1 s of another thread."""
        if not self.speech_triggered:
            return 1.0
        loop = asyncio.get_running_loop()
        sound = list(self._audio_buffer)
        _, verdict = await loop.run_in_executor(self._model_executor, self._process_speech_segment, sound)
        loop.run_in_executor(None, lane.give_back)
        return verdict.probability if isinstance(verdict, TurnMetricsData) else 0.0


def _newest(chunks: Chunks, samples: int) -> Chunks:
    """As many of the last chunks as hold so many samples."""
    first = len(chunks)
    while first and samples > 0:
        first -= 1
        samples -= chunks[first][1].size
    return chunks[first:]


def make_analyzers(settings: PipelineSettings) -> Analyzers:
    """Load the listening models and run each once; done before the fork, since a copy costs 26 MB.

    One thread each, none of them started here: a thread would not survive the fork.
    """
    params = VADParams(start_secs=settings.vad_start, stop_secs=settings.vad_stop, min_volume=MIN_VOLUME)
    vad = SileroVADAnalyzer(sample_rate=IN_RATE, params=params)
    vad.set_sample_rate(IN_RATE)
    vad.voice_confidence(bytes(2 * vad.num_frames_required()))
    if settings.turn == "silence":
        return Analyzers(vad, None)
    return Analyzers(vad, ThriftySmartTurn(params=SmartTurnParams(stop_secs=settings.turn_timeout)))


def build(
    parts: Parts,
    analyzers: Analyzers,
    settings: PipelineSettings,
    *,
    messages: Sequence[Any],
    tools: Any,
    observers: Sequence[BaseObserver],
) -> Built:
    """Put the parts together.

    Args:
        parts: the processors of this call.
        analyzers: the listening models, made before the fork.
        settings: the turn's knobs.
        messages: how the conversation begins: what was said before, if anything.
        tools: Pipecat's schema of the agent's tools; None when it has none.
        observers: who watches the frames.
    """
    context = LLMContext(list(messages), tools=tools) if tools is not None else LLMContext(list(messages))
    aggregators = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=analyzers.vad,
            user_turn_strategies=UserTurnStrategies(
                start=_turn_start(), stop=[_turn_stop(analyzers, settings), WordlessStop(time.monotonic)]
            ),
            user_turn_stop_timeout=settings.turn_timeout + NO_TRANSCRIPT_SECONDS,
            empty_user_turn=None,
        ),
    )
    floor = Floor(lambda: parts.speaker.spoken_over)
    pipeline = Pipeline(
        [
            parts.microphone,
            parts.stt,
            *_doubts(parts),
            *parts.llm_inputs,
            floor,
            aggregators.user(),
            end_of_sound(),
            parts.before_llm,
            parts.llm,
            Unspoken(),
            *parts.tts_inputs,
            parts.tts,
            parts.speaker,
            aggregators.assistant(),
        ]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=OUT_RATE),
        observers=list(observers),
        idle_timeout_secs=None,
        enable_rtvi=False,
        enable_turn_tracking=False,
        check_dangling_tasks=False,
    )
    return Built(worker, context, aggregators, floor)


def _doubts(parts: Parts) -> list[FrameProcessor]:
    """What keeps the agent's own words, and words that speech-to-text made up, from being the caller's."""
    return [
        NotOwn(parts.loopback, time.monotonic),
        Unclear(parts.not_understood, lambda: parts.speaker.spoken_over.speaking),
    ]


def end_of_sound() -> FunctionFilter:
    """Lets everything pass but the caller's sound: 31 frames a second that nothing after the ears has a use for."""

    async def passes(frame: Frame) -> bool:
        return not isinstance(frame, InputAudioRawFrame)

    return FunctionFilter(passes, filter_system_frames=True, enable_direct_mode=True)


def _turn_start() -> list[BaseUserTurnStartStrategy]:
    """A voice begins a turn, and so do words that come after theirs has ended. Neither interrupts: floor.py does."""
    late = TranscriptionUserTurnStartStrategy(use_interim=False, enable_interruptions=False)
    return [VADUserTurnStartStrategy(enable_interruptions=False), late]


def _turn_stop(analyzers: Analyzers, settings: PipelineSettings) -> BaseUserTurnStopStrategy:
    if analyzers.turn is None:
        return SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=settings.turn_silence)
    return SmartTurnStop(analyzers.turn, settings.turn_timeout, time.monotonic)
