import os
import re
import sys
import time

import jiwer
import numpy as np
import pytest
import soxr
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import run_test

from bench.words.recordings import TWO_CITIES
from pipeline.frames import UnsureTranscriptionFrame
from pipeline.local import lane
from pipeline.local import stt as moonshine
from pipeline.local.stt import MoonshineSTT, from_pcm, vocabulary
from tests.pipeline.local.sounds import RATE, recording, without_pauses, without_words

SOUNDS = without_words()


@pytest.fixture(scope="module")
def model():
    moonshine.preload()
    return moonshine.model()


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def test_a_reader_is_understood(model):
    heard = model(recording("two_cities"))
    assert jiwer.wer(plain(TWO_CITIES), plain(heard)) < 0.15


def test_another_reader_is_understood(model):
    heard = plain(model(recording("beckett")))
    assert {"ever", "tried", "failed", "matter", "try", "again", "better"} <= set(heard.split())


@pytest.mark.parametrize("name", SOUNDS)
def test_no_words_are_made_up(model, name):
    assert model(SOUNDS[name]) == ""


@pytest.mark.parametrize("size", [0, 1, 100, 1599])
def test_the_shortest_sounds_are_no_words(model, size):
    assert model(np.full(size, 0.3, np.float32)) == ""


def test_a_clipped_voice_is_understood_or_unheard_but_not_misheard(model):
    heard = plain(model(np.clip(recording("two_cities")[: 3 * RATE] * 40, -1, 1)))
    assert heard == "" or {"best", "times"} <= set(heard.split())


def test_a_telephone_line_is_understood(model):
    narrow = soxr.resample(recording("two_cities")[: 3 * RATE], RATE, 8000)
    pcm = (narrow * 32767).astype("<i2").tobytes()
    assert "best of times" in plain(model(from_pcm(pcm, 8000)))


def test_an_odd_byte_is_dropped():
    assert from_pcm(b"\x00\x40\x01", RATE).tolist() == [0.5]


def test_three_seconds_are_heard_in_time(model):
    speech, times = recording("two_cities")[: 3 * RATE], []
    for _ in range(5):
        start = time.thread_time()
        model(speech)
        times.append(time.thread_time() - start)
    assert min(times) < 3 * 0.17  # seconds of one thread; a machine in CI may be three times slower


def test_tokens_are_read_by_their_lengths():
    packed = b"\x02ab\x00\x81\x01" + b"c" * 129 + b"\x01d"  # 129 is 1 and 1 × 128
    assert vocabulary(packed) == [b"ab", b"", b"c" * 129, b"d"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from Python 3.12 on
def test_a_model_loaded_before_a_fork_hears_after_it_and_hardly_grows(model):
    speech = recording("two_cities")[: 3 * RATE]
    child = os.fork()
    if child == 0:
        before = _own_memory()
        understood = "best of times" in plain(model(speech))
        lane.give_back()
        os._exit(0 if understood and _own_memory() - before < 30 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _own_memory() -> float:
    """MB that this process shares with no other."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("Private_Dirty"))


async def transcriptions(samples: np.ndarray, rate: int) -> list[TranscriptionFrame]:
    pcm = (soxr.resample(samples, RATE, rate) * 32767).astype("<i2").tobytes()
    frames: list[Frame] = [VADUserStartedSpeakingFrame()]
    frames += [InputAudioRawFrame(pcm[at : at + rate // 25], rate, 1) for at in range(0, len(pcm), rate // 25)]
    frames.append(VADUserStoppedSpeakingFrame())
    down, _ = await run_test(
        MoonshineSTT(),
        frames_to_send=frames,
        pipeline_params=PipelineParams(audio_in_sample_rate=rate),
        start_timeout=10,
    )
    return [frame for frame in down if isinstance(frame, TranscriptionFrame)]


async def transcribed(samples: np.ndarray, rate: int) -> list[str]:
    found = await transcriptions(samples, rate)
    assert all(frame.finalized for frame in found)
    return [frame.text for frame in found]


@pytest.mark.anyio
@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
async def test_the_service_hears_speech_at_any_rate(model, rate):
    heard = await transcribed(recording("two_cities")[: 3 * RATE], rate)
    assert len(heard) == 1
    assert "best of times" in plain(heard[0])


@pytest.mark.anyio
async def test_the_service_says_nothing_about_noise(model):
    assert await transcribed(SOUNDS["noise"], RATE) == []


@pytest.mark.anyio
async def test_a_reader_who_does_not_pause_is_heard_piece_by_piece_and_whole(model):
    speech = without_pauses(recording("two_cities"))
    found = await transcriptions(speech, RATE)
    assert len(found) > speech.size / RATE / 12
    assert [frame.finalized for frame in found] == [False] * (len(found) - 1) + [True]
    heard = plain(" ".join(frame.text for frame in found))
    assert jiwer.wer(plain(TWO_CITIES), heard) <= jiwer.wer(plain(TWO_CITIES), plain(model(speech))) + 0.05
    assert abs(len(heard.split()) - len(plain(TWO_CITIES).split())) <= 6


@pytest.mark.anyio
async def test_speech_that_is_no_english_is_not_sure_and_that_of_readers_is(model):
    backwards = recording("two_cities")[: 6 * RATE][::-1]
    assert all(isinstance(frame, UnsureTranscriptionFrame) for frame in await transcriptions(backwards, RATE))
    for name, rate in (("two_cities", 8000), ("beckett", 16_000)):
        found = await transcriptions(recording(name)[: 10 * RATE], rate)
        assert not any(isinstance(frame, UnsureTranscriptionFrame) for frame in found)
