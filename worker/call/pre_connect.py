"""Decodes what the caller said before the agent was there: LiveKit's pre-connect audio; room_events.py calls it."""

from __future__ import annotations

from livekit import rtc
from livekit.agents.utils.codecs import AudioStreamDecoder

TOPIC = "lk.agent.pre-connect-audio-buffer"  # LiveKit's client SDKs send it here when `preConnectBuffer` is on
MAX_SECONDS = 10.0  # LiveKit's clients keep as much; more is cut off
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
    if "opus" in mime:
        decoder = AudioStreamDecoder(sample_rate=rate, num_channels=1)
        async for chunk in reader:
            decoder.push(chunk)
        decoder.end_input()
        pcm = b"".join([bytes(frame.data) async for frame in decoder])
        await decoder.aclose()
    else:
        raw = b"".join([chunk async for chunk in reader])
        pcm = _to_mono(raw, sent_rate, channels, rate)
    return pcm[: int(MAX_SECONDS * rate) * 2]


def _to_mono(raw: bytes, sent_rate: int, channels: int, rate: int) -> bytes:
    if sent_rate not in SENT_RATES or channels not in (1, 2):
        return b""
    samples = len(raw) // (2 * channels)
    frame = rtc.AudioFrame(raw[: samples * 2 * channels], sent_rate, channels, samples)
    resampler = rtc.AudioResampler(sent_rate, rate, num_channels=channels)
    frames = [*resampler.push(frame), *resampler.flush()]
    return b"".join(bytes(memoryview(one.data)[::channels]) for one in frames)
