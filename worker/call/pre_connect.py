"""Decodes what the caller said before the agent was there: LiveKit's pre-connect audio; room_events.py calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from livekit import rtc
from livekit.agents.utils.codecs import AudioStreamDecoder

TOPIC = "lk.agent.pre-connect-audio-buffer"  # LiveKit's client SDKs send it here when `preConnectBuffer` is on
MAX_SECONDS = 10.0  # LiveKit's clients keep as much; more is cut off
MAX_BYTES = 4_000_000  # read of one stream: 10 s of 16-bit stereo at 96 kHz
MAX_OPUS_BYTES = 640_000  # 10 s at opus's highest rate, 510 kbit/s
SENT_RATES = range(8_000, 192_001)  # Hz; what sound cards can do
WAIT_SECONDS = 1.5  # for the buffer of a caller whose track says that there is one


async def decode(reader: rtc.ByteStreamReader, rate: int) -> bytes:
    """Read a pre-connect stream.

    Args:
        reader: the byte stream; its attributes name sample rate and channels.
        rate: Hz wanted.

    Returns:
        16-bit mono PCM at `rate`, MAX_SECONDS at most; empty when the stream cannot be understood.
    """
    attributes = reader.info.attributes or {}
    mime = reader.info.mime_type or ""
    try:
        sent_rate, channels = int(attributes.get("sampleRate", 0)), int(attributes.get("channels", 1))
    except ValueError:
        return b""
    most = int(MAX_SECONDS * rate) * 2
    if "opus" in mime:
        pcm = await _decoded(reader, rate, most)
    else:
        raw = b"".join([chunk async for chunk in _first(reader, MAX_BYTES)])
        pcm = _to_mono(raw, sent_rate, channels, rate)
    return pcm[:most]


async def _first(reader: rtc.ByteStreamReader, limit: int) -> AsyncIterator[bytes]:
    """The first `limit` bytes of a stream, which is closed then: nothing more of it is kept."""
    left = limit
    try:
        async for chunk in reader:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return
    finally:
        reader.close()


async def _decoded(reader: rtc.ByteStreamReader, rate: int, most: int) -> bytes:
    decoder = AudioStreamDecoder(sample_rate=rate, num_channels=1)
    try:
        async for chunk in _first(reader, MAX_OPUS_BYTES):
            decoder.push(chunk)
        decoder.end_input()
        pcm = bytearray()
        async for frame in decoder:
            pcm += frame.data
            if len(pcm) >= most:
                break
        return bytes(pcm)
    finally:
        await decoder.aclose()


def _to_mono(raw: bytes, sent_rate: int, channels: int, rate: int) -> bytes:
    if sent_rate not in SENT_RATES or channels not in (1, 2):
        return b""
    samples = len(raw) // (2 * channels)
    frame = rtc.AudioFrame(raw[: samples * 2 * channels], sent_rate, channels, samples)
    resampler = rtc.AudioResampler(sent_rate, rate, num_channels=channels)
    frames = [*resampler.push(frame), *resampler.flush()]
    return b"".join(bytes(memoryview(one.data)[::channels]) for one in frames)
