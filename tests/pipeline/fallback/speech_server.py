"""A small server that speaks the protocols of hosted speech: OpenAI's voice and ears over HTTP, Deepgram's voice and
Cartesia's ears over WebSocket; it fails as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response, StreamingResponse

from pipeline.talk.audio_ends import OUT_RATE
from tests.pipeline.providers.openai_server import OpenAIServer

SECONDS_A_WORD = 0.5


def sound(words: int) -> bytes:
    """The sound of so many words: 16-bit mono PCM at OUT_RATE."""
    return b"\1\0" * int(OUT_RATE * SECONDS_A_WORD * words)


class SpeechServer(OpenAIServer):
    """Does with each request what the next of its `does` says; the last of them for good.

    "speak": says or hears it whole. "break": leaves off after two words. "hang": never answers. "late": answers when
    it is released. "garbage": answers what is no sound, or no message. "empty": answers without a sound. A number:
    this HTTP status.

    Args:
        does: what it does with each request.
        words: what its ears have heard, request by request.
    """

    def __init__(self, *does: str | int, words: list[str] | None = None) -> None:
        super().__init__()
        self.does = list(does)
        self.texts: list[str] = []
        self.words = list(words or [])
        self.audio: list[bytes] = []
        self.connections = 0
        self.app.post("/v1/audio/speech", response_model=None)(self.speak)
        self.app.post("/v1/audio/transcriptions", response_model=None)(self.hear)
        self.app.websocket("/v1/speak")(self.speak_over_socket)
        self.app.websocket("/stt/websocket")(self.hear_over_socket)

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws").removesuffix("/v1")

    def next(self) -> str | int:
        return self.does.pop(0) if len(self.does) > 1 else self.does[0]

    async def speak(self, request: Request) -> Response:
        text, what = (await request.json())["input"], self.next()
        self.texts.append(text)
        refused = await self.refused(what)
        return refused or StreamingResponse(self.stream_sound(text, what), media_type="audio/pcm")

    async def refused(self, what: str | int) -> Response | None:
        if isinstance(what, int):
            return JSONResponse({"error": {"message": "no"}}, what, {"Retry-After": "30"} if what == 429 else None)
        if what in ("hang", "late"):
            await self.released.wait()
        return None

    async def stream_sound(self, text: str, what: str | int) -> AsyncIterator[bytes]:
        if what == "break":
            yield sound(2)
            await asyncio.sleep(0.1)  # it goes out before the connection is cut
            raise ConnectionResetError
        if what != "empty":
            yield sound(len(text.split()))

    async def hear(self, request: Request) -> Response:
        form = await request.body()
        wav = form[form.index(b"RIFF") :]
        self.audio.append(wav[44 : 44 + int.from_bytes(wav[40:44], "little")])
        what = self.next()
        if what == "garbage":
            return Response(b"\xff\xfe", media_type="application/json")
        return await self.refused(what) or JSONResponse({"text": self.words.pop(0) if self.words else ""})

    async def speak_over_socket(self, socket: WebSocket) -> None:
        if not await self.accepted(socket):
            return
        text = ""
        with suppress(WebSocketDisconnect):
            while True:
                message = json.loads(await socket.receive_text())
                if message["type"] == "Speak":
                    text += message["text"]
                elif message["type"] == "Flush":
                    self.texts.append(text.strip())
                    if not await self.spoke(socket, text):
                        return
                    text = ""

    async def spoke(self, socket: WebSocket, text: str) -> bool:
        what = self.next()
        if what in ("hang", "late"):
            await self.released.wait()
        if what == "garbage":
            await socket.send_text("no JSON")
            return True
        if what == "break":
            await socket.send_bytes(sound(2))
            await asyncio.sleep(0.1)  # it goes out before the connection is cut
            await socket.close(1011)
            return False
        await socket.send_bytes(sound(len(text.split())))
        await socket.send_text(json.dumps({"type": "Flushed"}))
        return True

    async def accepted(self, socket: WebSocket) -> bool:
        self.connections += 1
        if isinstance(self.does[0], int):
            await socket.close()  # before it is accepted: the client gets 403
            return False
        await socket.accept()
        return True

    async def hear_over_socket(self, socket: WebSocket) -> None:
        if not await self.accepted(socket):
            return
        heard = b""
        with suppress(WebSocketDisconnect):
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("text") != "finalize":
                    heard += message.get("bytes") or b""
                    continue
                self.audio.append(heard)
                heard = b""
                what = self.next()
                if what in ("hang", "late"):
                    await self.released.wait()
                if what == "break":
                    await socket.close(1011)
                    return
                text = self.words.pop(0) if self.words else ""
                await socket.send_text(json.dumps({"type": "transcript", "text": text, "is_final": True}))
