"""Says one thing to a whole pipeline, at the pace of speech by the loop's clock, and hears when the answer begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import BaseUserTurnStopStrategy, TurnAnalyzerUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from bench.harness.speech import RATE
from bench.turns.sounds import Said
from pipeline.providers import Provider, make_llm, make_stt, make_tts
from pipeline.settings import PipelineSettings
from pipeline.talk.audio_ends import IN_RATE, OUT_RATE, AudioInput, AudioOutput
from pipeline.talk.build import NO_TRANSCRIPT_SECONDS, end_of_sound, make_analyzers
from pipeline.talk.turn_stop import SmartTurnStop
from runtime.background import Background

CHUNK_SECONDS = 0.032  # one window of Silero, as the worker hands sound over
PATIENCE_SECONDS = 4.0  # after the end of what was said
STARTED_SECONDS = 20.0

SETTINGS = PipelineSettings(_env_file=None)
VOICE = PipelineSettings(_env_file=None, turn="silence")  # a new Silero for each call: Pipecat closes it at the end

Stop = Callable[[], BaseUserTurnStopStrategy]


@dataclass(frozen=True)
class Answered:
    """When the agent began to speak.

    Attributes:
        said: What was said.
        seconds: From the end of the last sound to the first sound of the answer; None when there was none, or it came
            before that end.
        early: It came before the end.
    """

    said: Said
    seconds: float | None
    early: bool


def asked_again() -> Stop:
    """Greenroom's own way to end a turn: Smart Turn asked again, and the words. Loads the model, once for all turns."""
    ears = make_analyzers(SETTINGS).turn
    assert ears is not None
    return lambda: SmartTurnStop(ears, SETTINGS.turn_timeout, now)


def asked_once() -> Stop:
    """Pipecat's: Smart Turn asked once a pause. Loads the model, once for all turns."""
    ears = LocalSmartTurnAnalyzerV3(params=SmartTurnParams(stop_secs=SETTINGS.turn_timeout))
    return lambda: TurnAnalyzerUserTurnStopStrategy(turn_analyzer=ears)


def now() -> float:
    """Seconds of the event loop's clock."""
    return asyncio.get_running_loop().time()


class FirstSound:
    """A sink that plays at once, and notes when it got its first sound."""

    def __init__(self) -> None:
        self.at: float | None = None
        self.came = asyncio.Event()

    async def write(self, pcm: bytes) -> None:
        """Take this."""
        if self.at is None and any(pcm):
            self.at = now()
            self.came.set()

    def queued(self) -> float:
        """Nothing waits."""
        return 0.0

    def clear(self) -> None:
        """Nothing waits."""

    async def drain(self) -> None:
        """Nothing waits."""


async def answer(said: Said, stop: Stop) -> Answered:
    """Say it to an agent with the local ears, brain and voice, whose turns end as `stop` says."""
    sink, microphone = FirstSound(), AudioInput()
    worker = _pipeline(stop(), microphone, AudioOutput(sink, lambda _: None, lambda _, __: None))
    ready = asyncio.Event()

    async def started(_: PipelineWorker, __: object) -> None:
        ready.set()

    worker.add_event_handler("on_pipeline_started", started)
    runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
    await runner.add_workers(worker)
    running = Background("an answer").start(runner.run(), "pipeline")
    try:
        async with asyncio.timeout(STARTED_SECONDS):
            await ready.wait()
        ended = await _say(said, microphone, sink)
    finally:
        await runner.cancel("all is heard")
        await running
    if sink.at is None:
        return Answered(said, None, early=False)
    early = sink.at < ended
    return Answered(said, None if early else sink.at - ended, early)


async def _say(said: Said, microphone: AudioInput, sink: FirstSound) -> float:
    """Say it, then be silent until the answer comes; when the last sound was said, by the loop's clock."""
    begin, size = now(), int(CHUNK_SECONDS * RATE)
    silence = bytes(2 * size)
    at = 0
    while at < (said.ended + PATIENCE_SECONDS) * RATE and not (sink.came.is_set() and at > said.ended * RATE):
        pcm = said.samples[at : at + size].tobytes()
        at += size
        await asyncio.sleep(max(0.0, begin + at / RATE - now()))
        await microphone.hear(pcm + silence[len(pcm) :])
        if sink.at is not None and sink.at < begin + said.ended:
            break
    return begin + said.ended


def _pipeline(stop: BaseUserTurnStopStrategy, microphone: AudioInput, speaker: AudioOutput) -> PipelineWorker:
    """What a call has, but for what makes no difference to an answer's beginning."""
    ears = make_stt(Provider(SETTINGS.stt), SETTINGS, language="en")
    brain = make_llm(Provider(SETTINGS.llm), SETTINGS, prompt="Be kind.")
    mouth = make_tts(Provider(SETTINGS.tts), SETTINGS, voice=None, language="en")
    aggregators = LLMContextAggregatorPair(
        LLMContext([]),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=make_analyzers(VOICE).vad,
            user_turn_strategies=UserTurnStrategies(start=[VADUserTurnStartStrategy()], stop=[stop]),
            user_turn_stop_timeout=SETTINGS.turn_timeout + NO_TRANSCRIPT_SECONDS,
            empty_user_turn=None,
        ),
    )
    parts = [microphone, ears, aggregators.user(), end_of_sound(), brain, mouth, speaker]
    return PipelineWorker(
        Pipeline([*parts, aggregators.assistant()]),
        params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=OUT_RATE),
        idle_timeout_secs=None,
        enable_rtvi=False,
        enable_turn_tracking=False,
        check_dangling_tasks=False,
    )
