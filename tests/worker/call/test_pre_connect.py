"""What a caller said before the agent came, in the forms in which LiveKit's clients send it."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.worker.rooms import Bytes
from worker.call.pre_connect import MAX_BYTES, MAX_OPUS_BYTES, MAX_SECONDS, decode

pytestmark = pytest.mark.anyio

RATE = 16_000
TONE = 440.0


def a_tone(rate: int, seconds: float) -> npt.NDArray[np.int16]:
    at = np.arange(int(rate * seconds)) / rate
    return (np.sin(2 * np.pi * TONE * at) * 12000).astype(np.int16)


def pitch(pcm: bytes) -> float:
    """Hz of the loudest tone in sound at RATE."""
    samples = np.frombuffer(pcm, np.int16)
    return float(np.fft.rfftfreq(samples.size, 1 / RATE)[np.argmax(np.abs(np.fft.rfft(samples)))])


def webm(seconds: float) -> bytes:
    """A tone as a browser records it: opus in webm, 48 kHz."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream: Any = container.add_stream("libopus", rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(a_tone(48_000, seconds).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


async def heard(stream: Bytes) -> bytes:
    return await decode(stream, RATE)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_plain_mono_is_brought_to_the_rate_wanted(rate: int) -> None:
    pcm = await heard(Bytes(a_tone(rate, 1.0).tobytes(), "audio/pcm", sampleRate=str(rate), channels="1"))
    assert len(pcm) / 2 == pytest.approx(RATE, rel=0.02)
    assert pitch(pcm) == pytest.approx(TONE, abs=5)


async def test_plain_stereo_is_brought_to_mono() -> None:
    left = a_tone(48_000, 1.0)
    stereo = np.column_stack([left, np.zeros_like(left)]).tobytes()
    pcm = await heard(Bytes(stereo, "audio/pcm", sampleRate="48000", channels="2"))
    assert len(pcm) / 2 == pytest.approx(RATE, rel=0.02)
    assert pitch(pcm) == pytest.approx(TONE, abs=5)


async def test_a_browsers_recording_is_understood() -> None:
    pcm = await heard(Bytes(webm(1.0), "audio/webm;codecs=opus", sampleRate="48000", channels="1"))
    assert len(pcm) / 2 == pytest.approx(RATE, rel=0.05)
    assert pitch(pcm) == pytest.approx(TONE, abs=5)


async def test_what_is_too_long_is_cut_off() -> None:
    pcm = await heard(Bytes(a_tone(RATE, MAX_SECONDS + 2).tobytes(), "audio/pcm", sampleRate=str(RATE), size=64_000))
    assert len(pcm) == int(MAX_SECONDS * RATE) * 2


@pytest.mark.parametrize(("mime", "limit"), [("audio/pcm", MAX_BYTES), ("audio/webm;codecs=opus", MAX_OPUS_BYTES)])
async def test_of_a_stream_without_end_no_more_is_read_than_its_limit(mime: str, limit: int) -> None:
    stream = Bytes(bytes(20_000_000), mime, size=15_000, sampleRate="48000")
    await heard(stream)
    assert stream.taken == -(-limit // 15_000)
    assert stream.closed


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"sampleRate": "fast"},
        {"sampleRate": "-1"},
        {"sampleRate": "1"},
        {"sampleRate": "999999999999"},
        {"sampleRate": "48000", "channels": "7"},
        {"sampleRate": "48000", "channels": "many"},
    ],
)
async def test_what_does_not_say_what_it_is_counts_as_silence(attributes: dict[str, str]) -> None:
    assert await heard(Bytes(bytes(9600), "audio/pcm", **attributes)) == b""


async def test_nothing_sent_is_nothing_heard() -> None:
    assert await heard(Bytes(b"", "audio/pcm", sampleRate="48000")) == b""


async def test_sound_that_ends_in_half_a_sample_is_heard() -> None:
    odd = a_tone(RATE, 0.5).tobytes() + b"\1"
    assert len(await heard(Bytes(odd, "audio/pcm", sampleRate=str(RATE)))) / 2 == pytest.approx(RATE / 2, rel=0.05)


@pytest.mark.parametrize("junk", [b"", b"this is no recording at all" * 50])
async def test_a_recording_that_is_none_counts_as_silence(junk: bytes) -> None:
    assert await heard(Bytes(junk, "audio/webm;codecs=opus")) == b""
