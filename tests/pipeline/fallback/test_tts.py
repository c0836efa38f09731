"""A voice that fails in mid-call, in every way in which hosted voices fail, over their real protocols."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.pipeline.worker import PipelineWorker
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.services.openai.tts import OpenAITTSService, OpenAITTSSettings
from pipecat.services.tts_service import TTSService

from pipeline.fallback.candidates import Candidate, OwnCircuits
from pipeline.fallback.tts import FallbackTTS
from pipeline.talk.audio_ends import OUT_RATE, AudioOutput
from tests.pipeline.fallback.speech_server import SECONDS_A_WORD, SpeechServer
from tests.pipeline.stage import FakeSink, Notes, Stage, running, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.AudioContextTTSService. is deprecated:DeprecationWarning"),
]

SENTENCE = "One two three four five six."


class Told(OwnCircuits):
    """Circuits that write down what they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[str] = []
        self.successes: list[str] = []

    def failed(self, key: str, now: float) -> None:
        self.failures.append(key)
        super().failed(key, now)

    def worked(self, key: str, now: float) -> None:
        self.successes.append(key)
        super().worked(key, now)


def over_http(name: str, server: SpeechServer, made: list[Any]) -> Candidate[TTSService]:
    def make() -> TTSService:
        service = OpenAITTSService(api_key="key", base_url=server.url, settings=OpenAITTSSettings(voice="alloy"))
        cast(Any, service)._client = cast(Any, service)._client.with_options(max_retries=0)
        made.append(service)
        return service

    return Candidate(name, f"tts/{name}/1", make)


def over_socket(name: str, server: SpeechServer, made: list[Any]) -> Candidate[TTSService]:
    def make() -> TTSService:
        service = DeepgramTTSService(api_key="key", base_url=server.socket_url)
        made.append(service)
        return service

    return Candidate(name, f"tts/{name}/1", make)


KINDS = {"http": over_http, "socket": over_socket}


class Spoken:
    """A stage with a fallback voice, and what came out of it."""

    def __init__(self, stage: Stage, tts: FallbackTTS, circuits: Told, made: list[Any], sink: FakeSink) -> None:
        self.stage, self.tts, self.circuits, self.made, self.sink = stage, tts, circuits, made, sink
        self.errors: list[ErrorFrame] = []

    @property
    def texts(self) -> list[str]:
        return [frame.text for frame in self.stage.tail.of(TTSTextFrame)]

    async def answer(self, *pieces: str) -> None:
        texts = [LLMTextFrame(piece) for piece in pieces]
        await self.stage.send(LLMFullResponseStartFrame(), *texts, LLMFullResponseEndFrame())

    async def over(self, answers: int = 1) -> None:
        await until(lambda: len(self.stage.tail.of(LLMFullResponseEndFrame)) == answers, "the answer's end")


@asynccontextmanager
async def voices(
    *choices: tuple[str, SpeechServer], patience: float = 4.0, sound_seconds: float = 1.5
) -> AsyncIterator[Spoken]:
    made: list[Any] = []
    candidates = [KINDS[kind](f"{kind}{at}", server, made) for at, (kind, server) in enumerate(choices)]
    circuits, sink, notes = Told(), FakeSink(instant=True), Notes()
    tts = FallbackTTS(
        candidates, circuits, patience=patience, owner="session_a", noticed=notes.noticed, sound_seconds=sound_seconds
    )
    began = time.monotonic()
    async with running(tts, AudioOutput(sink, lambda _: None, lambda *_: None)) as stage:
        assert time.monotonic() - began < 0.5
        spoken = Spoken(stage, tts, circuits, made, sink)

        async def failed(_: PipelineWorker, frame: ErrorFrame) -> None:
            spoken.errors.append(frame)

        stage.worker.add_event_handler("on_pipeline_error", failed)
        yield spoken
        for _, server in choices:
            server.released.set()


@pytest.mark.parametrize("kind", ["http", "socket"])
async def test_a_voice_that_works_says_an_answer_as_one_utterance_and_is_told_to_the_circuits(kind: str) -> None:
    async with SpeechServer("speak").serving() as server, voices((kind, server)) as spoken:
        await spoken.answer("One two. ", "Three ", "four.")
        await spoken.over()
        assert server.texts == ["One two.", "Three four."]
        assert spoken.texts == ["One two.", "Three four."]
        kinds = [type(f) for f in spoken.stage.tail.of(TTSStartedFrame, TTSStoppedFrame, LLMFullResponseEndFrame)]
        assert kinds == [TTSStartedFrame, TTSStoppedFrame, LLMFullResponseEndFrame]
        assert spoken.sink.seconds == pytest.approx(4 * SECONDS_A_WORD)
        assert spoken.circuits.successes == ["tts/" + kind + "0/1"] * 2
        assert spoken.circuits.failures == spoken.errors == []


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kind", "fails"),
    [
        *[("http", fault) for fault in (401, 429, 500, "hang", "break", "empty")],
        *[("socket", fault) for fault in (403, "hang", "garbage", "break")],
    ],
)
async def test_a_voice_that_fails_is_left_in_mid_call_and_the_next_one_says_what_was_not_heard(
    kind: str, fails: str | int
) -> None:
    async with (
        SpeechServer(fails).serving() as bad,
        SpeechServer("speak").serving() as good,
        voices((kind, bad), ("http", good)) as spoken,
    ):
        if fails != 403:  # that one refuses the connection
            bad.does = ["speak", "speak", fails]
            await spoken.answer(SENTENCE, f" {SENTENCE}")
            await spoken.over()
        before = len(spoken.texts)
        await spoken.answer(SENTENCE, " Seven eight.")
        await spoken.over(2 if before else 1)
        assert spoken.texts[before:] == [SENTENCE, "Seven eight."]
        rest = "three four five six." if fails == "break" else SENTENCE
        assert good.texts == [rest, "Seven eight."]
        assert spoken.sink.seconds == pytest.approx((8 + 6 * before) * SECONDS_A_WORD)
        assert spoken.circuits.failures == [f"tts/{kind}0/1"]
        assert spoken.errors == []
        assert not spoken.tts.used_up


async def test_the_sound_that_comes_late_from_a_voice_that_was_left_is_dropped() -> None:
    async with (
        SpeechServer("late").serving() as slow,
        SpeechServer("speak").serving() as good,
        voices(("socket", slow), ("http", good)) as spoken,
    ):
        await spoken.answer(SENTENCE)
        await until(lambda: good.texts, "the next voice to be asked")
        slow.released.set()
        await spoken.over()
        await spoken.answer("Seven eight.")
        await spoken.over(2)
        assert spoken.sink.seconds == pytest.approx(8 * SECONDS_A_WORD)


async def test_an_interruption_silences_a_voice_that_hangs_and_the_next_answer_is_said() -> None:
    async with (
        SpeechServer("hang").serving() as bad,
        SpeechServer("speak").serving() as good,
        voices(("http", bad), ("http", good)) as spoken,
    ):
        await spoken.answer(SENTENCE)
        await until(lambda: bad.texts, "the first voice to be asked")
        began = time.monotonic()
        await spoken.stage.send(InterruptionFrame())
        await until(lambda: spoken.stage.tail.of(InterruptionFrame), "the interruption")
        assert time.monotonic() - began < 0.3
        await spoken.answer("Seven eight.")
        await until(lambda: spoken.texts, "the next answer")
        assert spoken.texts == good.texts == ["Seven eight."]


async def test_a_provider_that_accepts_a_connection_and_nothing_more_delays_no_start() -> None:
    connections = list[asyncio.StreamWriter]()
    silent = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    async with SpeechServer("speak").serving() as good:
        dead = SpeechServer("speak")
        dead.url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/v1"
        async with voices(("socket", dead), ("http", good)) as spoken:
            await spoken.answer("Hello there.")
            await spoken.over()
            assert spoken.texts == ["Hello there."]
    for connection in connections:
        connection.close()
    silent.close()


@pytest.mark.faults
async def test_a_blip_of_all_voices_ends_no_call() -> None:
    async with (
        SpeechServer(503, 503, "speak").serving() as first,
        SpeechServer(503, 500, 500).serving() as second,
        voices(("http", first), ("http", second)) as spoken,
    ):
        await spoken.answer(SENTENCE)
        await spoken.over()
        assert spoken.texts == [SENTENCE]
        assert spoken.errors == []


@pytest.mark.parametrize("fails", [401, 503])
async def test_when_the_last_voice_has_failed_for_good_one_error_of_the_processor_says_so(fails: int) -> None:
    async with SpeechServer(fails).serving() as only, voices(("http", only), patience=0.8) as spoken:
        await spoken.answer(SENTENCE)
        await until(lambda: spoken.errors, "an error")
        await spoken.answer("Seven eight.")
        await spoken.over(2)
        assert [(error.processor, error.fatal) for error in spoken.errors] == [(spoken.tts, False)]
        assert spoken.tts.used_up
        assert spoken.texts == []
        assert spoken.stage.tail.of(TTSAudioRawFrame) == []


async def test_a_text_of_ours_is_committed_and_keeps_its_type() -> None:
    async with SpeechServer("speak").serving() as server, voices(("http", server)) as spoken:
        await spoken.stage.send(TTSSpeakFrame("Good day."), TTSSpeakFrame("Wait.", append_to_context=False))
        await until(lambda: len(spoken.stage.tail.of(TTSStoppedFrame)) == 2, "both texts")
        assert [frame.append_to_context for frame in spoken.stage.tail.of(TTSTextFrame)] == [True, False]
        assert len(spoken.stage.tail.of(LLMAssistantPushAggregationFrame)) == 1


async def test_settings_reach_the_voice_in_use_and_those_for_all_the_next_one_too() -> None:
    async with (
        SpeechServer("speak", 500).serving() as first,
        SpeechServer("speak").serving() as second,
        voices(("http", first), ("http", second)) as spoken,
    ):
        slower = TTSUpdateSettingsFrame(delta=OpenAITTSSettings(speed=0.8), reach_inactive_services=True)
        await spoken.stage.send(slower, TTSUpdateSettingsFrame(delta=OpenAITTSSettings(instructions="Whisper.")))
        await spoken.answer("Hello there.")
        await spoken.over()
        await spoken.answer("Seven eight.")
        await spoken.over(2)
        said = [(service.settings.speed, service.settings.instructions) for service in spoken.made]
        assert said == [(0.8, "Whisper."), (0.8, None)]


async def test_sound_is_in_the_rate_of_the_pipeline() -> None:
    async with SpeechServer("speak").serving() as server, voices(("http", server)) as spoken:
        await spoken.answer("Hello there.")
        await spoken.over()
        assert {frame.sample_rate for frame in spoken.stage.tail.of(TTSAudioRawFrame)} == {OUT_RATE}


async def test_the_end_of_a_call_waits_neither_for_a_voice_nor_for_its_sound() -> None:
    async with SpeechServer("hang").serving() as server:
        async with voices(("http", server), sound_seconds=30) as spoken:
            await spoken.answer(SENTENCE)
            await until(lambda: server.texts, "the voice to be asked")
            began = time.monotonic()
            await spoken.stage.worker.cancel()
        assert time.monotonic() - began < 2.0


async def test_a_text_that_no_voice_can_say_is_left_out_without_a_wait_and_is_nobodys_fault() -> None:
    async with (
        SpeechServer("empty", "speak").serving() as first,
        SpeechServer("empty").serving() as second,
        voices(("http", first), ("http", second), sound_seconds=30) as spoken,
    ):
        await spoken.answer("Ⲁⲃⲅ.", " Seven eight.")
        await spoken.over()
        assert (first.texts, second.texts) == (["Ⲁⲃⲅ.", "Seven eight."], ["Ⲁⲃⲅ."])
        assert spoken.texts == ["Seven eight."]
        assert spoken.circuits.failures == spoken.errors == []
        assert not spoken.tts.used_up
