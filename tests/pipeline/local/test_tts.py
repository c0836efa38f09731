import os
import re
import subprocess
import sys
import time
import wave

import jiwer
import numpy as np
import pytest
import soxr
from hibari import SAMPLE_RATE
from pipecat.frames.frames import ErrorFrame, TTSAudioRawFrame, TTSSpeakFrame, TTSStartedFrame, TTSStoppedFrame
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import run_test

from pipeline.local import stt as moonshine
from pipeline.local import tts as hibari
from pipeline.local.tts import HibariTTS, VoiceMissing, synthesise, voice_named

GREETING = "Hello! How can I help you today?"


@pytest.fixture(scope="module", autouse=True)
def _voice():
    hibari.preload([GREETING])


def understood(sound: np.ndarray, rate: int) -> str:
    samples = soxr.resample(sound.astype(np.float32) / 32768, rate, 16_000)
    return " ".join(re.findall(r"[a-z']+", moonshine.model()(samples).lower()))


@pytest.mark.parametrize(
    "text",
    ["Hello, how can I help you?", "The railway station is near the river.", "Please add milk and eggs to my list.",
     "My favourite colour is blue.", "Thank you very much, goodbye."],
)  # fmt: skip
def test_what_is_spoken_is_understood(text):
    said = " ".join(re.findall(r"[a-z']+", text.lower()))
    heard = understood(*synthesise(text)).replace("color", "colour").replace("favorite", "favourite")
    assert jiwer.wer(said, heard) <= 0.25


def test_speech_begins_at_once_and_ends_soon():
    sound, rate = synthesise(GREETING)
    loud = np.flatnonzero(np.abs(sound) > 330)
    assert loud[0] / rate <= 0.01
    assert (sound.size - loud[-1]) / rate <= 0.1


def test_the_same_words_always_sound_the_same():
    assert np.array_equal(synthesise("Once more.")[0], synthesise("Once more.")[0])


@pytest.mark.parametrize("text", ["", "...", "😀"])
def test_what_has_no_words_makes_no_sound(text):
    assert synthesise(text)[0].size == 0


@pytest.mark.parametrize(
    "text", ["12", "14:05", "https://example.com/a?b=1", "a@b.com", "$5.50", "x" * 300, "é ü 中文"]
)
def test_no_text_is_an_error(text):
    assert synthesise(text)[0].size > 0


def test_an_accent_names_a_voice():
    assert voice_named("American") == "heart"


@pytest.mark.parametrize("name", ["nobody", ""])
def test_an_unknown_voice_is_refused_with_those_there_are(name):
    with pytest.raises(VoiceMissing, match="heart"):
        voice_named(name)


def test_a_voice_that_is_not_here_is_refused_and_not_downloaded(tmp_path):
    command = [sys.executable, "-m", "pipeline.local.tts", "Hello.", str(tmp_path / "out.wav"), "--voice", "british"]
    environment = {**os.environ, "HIBARI_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_speech_can_be_made_from_outside(tmp_path):
    out = tmp_path / "speech.wav"
    subprocess.run([sys.executable, "-m", "pipeline.local.tts", "My name is Ada.", str(out)], check=True, timeout=60)
    with wave.open(str(out)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert file.getnchannels() == 1
        assert "my name is" in understood(sound, file.getframerate())


async def frames_for(*texts: str, rate: int = 24_000) -> list:
    down, up = await run_test(
        HibariTTS(),
        frames_to_send=[TTSSpeakFrame(text) for text in texts],
        pipeline_params=PipelineParams(audio_out_sample_rate=rate),
        start_timeout=10,
    )
    assert not [frame for frame in (*down, *up) if isinstance(frame, ErrorFrame)]
    return list(down)


def audio(frames: list) -> np.ndarray:
    return np.frombuffer(b"".join(f.audio for f in frames if isinstance(f, TTSAudioRawFrame)), "<i2")


@pytest.mark.anyio
@pytest.mark.parametrize("rate", [8000, 24_000, 48_000])
async def test_the_service_speaks_at_the_rate_of_the_pipeline(rate):
    frames = await frames_for("Please add milk and eggs to my list.", rate=rate)
    assert {f.sample_rate for f in frames if isinstance(f, TTSAudioRawFrame)} == {rate}
    assert "milk and eggs" in understood(audio(frames), rate)


@pytest.mark.anyio
async def test_speech_comes_in_pieces_that_an_interruption_can_drop():
    frames = await frames_for(GREETING)
    pieces = [f for f in frames if isinstance(f, TTSAudioRawFrame)]
    assert len(pieces) > 5
    assert max(f.num_frames for f in pieces) <= 0.2 * 24_000
    kinds = [type(f) for f in frames]
    assert kinds.index(TTSStartedFrame) < kinds.index(TTSAudioRawFrame) < kinds.index(TTSStoppedFrame)


@pytest.mark.anyio
async def test_texts_without_words_never_silence_the_service():
    frames = await frames_for("...", "😀", "...", "***", "...", "Still here.")
    assert "still here" in understood(audio(frames), 24_000)


@pytest.mark.anyio
async def test_a_phrase_made_before_the_call_is_spoken_at_once():
    assert await first_sound_seconds(GREETING) < 0.01


async def first_sound_seconds(text: str) -> float:
    service = HibariTTS()
    service._sample_rate = SAMPLE_RATE
    start = time.perf_counter()
    async for frame in service.run_tts(text, "turn"):
        assert isinstance(frame, TTSAudioRawFrame)
        return time.perf_counter() - start
    raise AssertionError("no sound")


ODD = [
    "10:05:30",
    "10^6",
    "2 * 3 = 6",
    "9" * 37,
    f"${'9' * 38}",
    f"{'1' * 40}th",
    "0" * 60,
    f"{'1,234' * 20}",
    "a" * 2000,
]


@pytest.mark.parametrize("text", ODD)
def test_no_text_makes_the_voice_fail_or_silent(text: str) -> None:
    sound, _ = synthesise(text)
    assert sound.size > 0


def test_a_text_that_the_voice_cannot_say_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    text = "\u4f60\u597d\uff0c\u4eca\u5929"
    for said in (text, f"Hello {text} there."):
        caplog.clear()
        synthesise(said)
        assert "event=unsayable" in caplog.text
        assert text not in caplog.text
