"""A running pipeline around the processors under test, a sink that plays as told, and what came out at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType
from pipecat.workers.runner import WorkerRunner

from pipeline.talk.audio_ends import ASIDE, IN_RATE, OUT_RATE
from pipeline.talk.turn_observer import Activity


class FakeSink:
    """Takes all sound at once; `unplayed` seconds are queued and `drain` waits for the next `finish` or `clear`.

    Args:
        instant: sound has been played as soon as it is taken; can be changed.
    """

    def __init__(self, *, instant: bool = False) -> None:
        self.instant = instant
        self.chunks: list[bytes] = []
        self.unplayed = 0.0
        self.clears = 0
        self.draining = 0
        self._played = asyncio.Event()

    def finish(self) -> None:
        """All that was taken until now has been played."""
        self._played.set()
        self._played = asyncio.Event()

    @property
    def seconds(self) -> float:
        return sum(map(len, self.chunks)) / (2 * OUT_RATE)

    async def write(self, pcm: bytes) -> None:
        self.chunks.append(pcm)

    def queued(self) -> float:
        return self.unplayed

    def clear(self) -> None:
        self.clears += 1
        self.unplayed = 0.0
        self.finish()

    async def drain(self) -> None:
        self.draining += 1
        if not self.instant:
            await self._played.wait()


class Tail(FrameProcessor):
    """The end of the pipeline: keeps what comes down to it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
        await self.push_frame(frame, direction)

    def of(self, *kinds: type[Frame]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kinds)]


class Stage:
    """A pipeline that runs."""

    def __init__(self, worker: PipelineWorker, tail: Tail) -> None:
        self.worker, self.tail = worker, tail

    async def send(self, *frames: Frame) -> None:
        await self.worker.queue_frames(list(frames))


@asynccontextmanager
async def running(*processors: FrameProcessor, observers: Sequence[BaseObserver] = ()) -> AsyncIterator[Stage]:
    """The processors in a pipeline that has started; it is cancelled at the end."""
    tail = Tail()
    worker = PipelineWorker(
        Pipeline([*processors, tail]),
        params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=OUT_RATE),
        observers=list(observers),
        idle_timeout_secs=None,
        enable_rtvi=False,
        enable_turn_tracking=False,
    )
    ready = asyncio.Event()

    async def started(_: PipelineWorker, __: object) -> None:
        ready.set()

    worker.add_event_handler("on_pipeline_started", started)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    task = asyncio.create_task(runner.run(), name="stage")
    try:
        async with asyncio.timeout(5):
            await ready.wait()
        yield Stage(worker, tail)
    finally:
        await runner.cancel("the test is over")
        async with asyncio.timeout(5):
            await task


def sentence(text: str, seconds: float, *, whole: bool = True, aside: bool = False) -> list[Frame]:
    """The frames in which a text-to-speech service says a sentence; its end is missing if it is not the whole."""
    announced = AggregatedTextFrame(text, ASIDE if aside else TextType.SENTENCE)
    announced.context_id = str(announced.id)
    announced.append_to_context = False
    announced.will_be_spoken = True
    sound: list[Frame] = [TTSAudioRawFrame(b"\1\0" * int(OUT_RATE * seconds), OUT_RATE, 1)]
    if not whole:
        return [announced, TTSStartedFrame(), *sound]
    spoken = TTSTextFrame(text, TextType.SENTENCE, segment_id=announced.id)
    spoken.will_be_spoken = True
    spoken.append_to_context = not aside
    return [announced, TTSStartedFrame(), *sound, spoken, TTSStoppedFrame(context_id=announced.context_id)]


async def until(holds: Callable[[], Any], what: str, *, seconds: float = 5.0) -> None:
    """Return as soon as it holds; fail when it does not within this many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.005)


class Notes:
    """A `Listener` that writes down what it is told, in order."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.activities: list[Activity] = []
        self.words: list[tuple[str, bool]] = []
        self.user: list[str] = []
        self.sentences: list[str] = []
        self.agent: list[tuple[str, bool]] = []
        self.speakers: list[str] = []
        self.turns: list[tuple[float | None, int]] = []
        self.failures: list[tuple[str, bool]] = []
        self.faults: list[str] = []
        self.log: list[tuple[str, dict[str, str | int | float | bool]]] = []
        self.goodbyes = 0
        self.changes = 0

    def agent_state(self, state: str) -> None:
        self.states.append(state)

    def activity(self, what: Activity) -> None:
        self.activities.append(what)

    def user_words(self, text: str, *, final: bool) -> None:
        self.words.append((text, final))

    def user_said(self, text: str) -> None:
        self.user.append(text)
        self.speakers.append("user")

    def agent_sentence(self, text: str) -> None:
        self.sentences.append(text)

    def agent_said(self, text: str, *, interrupted: bool) -> None:
        self.agent.append((text, interrupted))
        self.speakers.append("agent")

    def turn_taken(self, *, gap: float | None, barge_ins: int) -> None:
        self.turns.append((gap, barge_ins))

    def provider_failed(self, provider: str, *, permanent: bool) -> None:
        self.failures.append((provider, permanent))

    def agent_failed(self, where: str) -> None:
        self.faults.append(where)

    def noticed(self, event: str, facts: Mapping[str, str | int | float | bool]) -> None:
        self.log.append((event, dict(facts)))

    def conversation_changed(self) -> None:
        self.changes += 1

    def wants_to_end(self) -> None:
        self.goodbyes += 1
