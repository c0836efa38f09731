"""A provider of all three kinds, spoken to as OpenAI is, that works or fails as a drill tells it; knows no drill.

It has sockets of its own, since no HTTP server can be told to break off or to hang.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import numpy as np

Kind = Literal["stt", "llm", "tts"]
Mode = Literal["works", "dies", "hangs", "429", "garbage"]

ENDS: Mapping[str, Kind] = {
    "/v1/audio/transcriptions": "stt",
    "/v1/chat/completions": "llm",
    "/v1/audio/speech": "tts",
}
TYPES: Mapping[Kind, str] = {"stt": "application/json", "llm": "text/event-stream", "tts": "audio/pcm"}
GARBAGE: Mapping[Kind, bytes] = {"stt": b"<html>?</html>", "llm": b'data: {"choices": [{"del\n\n', "tts": b""}
RATE = 24_000  # Hz
SECONDS_PER_CHARACTER = 0.06
ANSWER = "I heard: {}. Is there anything else?"
PIECE_SECONDS = 0.02  # between two words of an answer


class Hosted:
    """The provider.

    Attributes:
        modes: how each kind does; may be changed at any time, for the requests that come then.
        asked: how often each kind was asked.
        hears: what its ears understand, whatever is said.
        url: where it is, with /v1.
    """

    def __init__(self) -> None:
        self.modes: dict[Kind, Mode] = {}
        self.asked: dict[Kind, int] = {}
        self.hears = ""
        self.url = ""
        self.work()

    def work(self) -> None:
        """All of it works, and was never asked."""
        self.modes = {"stt": "works", "llm": "works", "tts": "works"}
        self.asked = {"stt": 0, "llm": 0, "tts": 0}

    async def serve(self, started: threading.Event, over: asyncio.Event) -> None:
        """Take connections until it is over."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        started.set()
        async with server:
            await over.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(line for line in head.splitlines() if line.lower().startswith("content-length"))
            body = await reader.readexactly(int(length.partition(":")[2]))
            await self._answer(ENDS[head.split()[1]], body, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # who asked has gone
        finally:
            writer.close()

    async def _answer(self, kind: Kind, body: bytes, writer: asyncio.StreamWriter) -> None:
        mode = self.modes[kind]
        self.asked[kind] += 1
        if mode == "hangs":
            await asyncio.sleep(3600)
        if mode == "429":
            writer.write(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            return
        pieces = [GARBAGE[kind]] if mode == "garbage" else self._pieces(kind, body)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {TYPES[kind]}\r\nConnection: close\r\n\r\n".encode())
        for place, piece in enumerate(pieces):
            if mode == "dies" and place >= len(pieces) // 2:
                _reset(writer)
                return
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(PIECE_SECONDS)

    def _pieces(self, kind: Kind, body: bytes) -> list[bytes]:
        if kind == "stt":
            return [json.dumps({"text": self.hears}).encode()]
        asked = json.loads(body)
        if kind == "tts":
            return [_tone(SECONDS_PER_CHARACTER * 10)] * (len(asked["input"]) // 10 + 1)
        words = next(each["content"] for each in reversed(asked["messages"]) if each["role"] == "user")
        texts = [f" {word}" for word in ANSWER.format(words.rstrip(".?! ")).split()]
        deltas: list[dict[str, object]] = [{"delta": {"content": text}, "finish_reason": None} for text in texts]
        chunks = [*deltas, {"delta": {}, "finish_reason": "stop"}]
        return [*(_event(chunk) for chunk in chunks), b"data: [DONE]\n\n"]


@contextmanager
def hosted() -> Iterator[Hosted]:
    """The provider as long as the block lasts, in a thread of its own: a drill waits for processes meanwhile."""
    provider, started = Hosted(), threading.Event()
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(provider.serve(started, over),))
    thread.start()
    try:
        assert started.wait(5)
        yield provider
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.run_until_complete(_end_all())
        loop.close()


async def _end_all() -> None:
    """End what still hangs, and let its connections close."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off, as a machine does that dies."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def _event(choice: dict[str, object]) -> bytes:
    said = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, **choice}],
    }
    return f"data: {json.dumps(said)}\n\n".encode()


def _tone(seconds: float) -> bytes:
    """16-bit PCM that is no speech, and is heard."""
    times = np.arange(int(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * 300 * times) * 8000).astype(np.int16).tobytes()
