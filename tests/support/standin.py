"""A small stand-in for Greenroom: a real livekit-server, an API of its own and an agent that beeps; knows no test."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
import yaml
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from livekit import api, rtc

from bench.harness.system import free_ports
from cli.setup import livekit_binary

KEY, SECRET = "devkey", "0123456789abcdef0123456789abcdef0123"
RATE = 24000
BEEP_SECONDS = 0.4


@contextmanager
def livekit(directory: Path) -> Iterator[str]:
    """A livekit-server of this test's own; its address."""
    port, tcp, udp = free_ports(3)
    config = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "tcp_port": tcp,
            "udp_port": udp,
            "use_external_ip": False,
            "node_ip": "127.0.0.1",
            "enable_loopback_candidate": True,
            "stun_servers": ["127.0.0.1:3478"],
            "use_ice_lite": True,
        },
        "keys": {KEY: SECRET},
        "logging": {"level": "error"},
    }
    path = directory / "livekit.yaml"
    path.write_text(yaml.safe_dump(config))
    with (directory / "livekit.log").open("wb") as log:
        server = subprocess.Popen([livekit_binary.found(os.environ), "--config", path], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 15
        while not _answers(f"http://127.0.0.1:{port}"):
            assert server.poll() is None, (directory / "livekit.log").read_text()
            assert time.monotonic() < deadline, "livekit-server doesn't answer"
            time.sleep(0.02)
        yield f"ws://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def token(room: str, identity: str, *, agent: bool = False) -> str:
    """The right to join `room`."""
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    made = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants)
    return (made.with_kind("agent") if agent else made).to_jwt()


class Beeper:
    """An agent that greets with a beep, and beeps and tells what it was told about whatever it hears or reads."""

    def __init__(self, url: str, room: str, *, answers: bool = True) -> None:
        self.room = rtc.Room()
        self.read: list[str] = []
        self.beeps: list[float] = []
        self._url, self._name, self._answers = url, room, answers
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=100)
        self._tasks: set[asyncio.Task[None]] = set()
        self._track_sid = ""
        self._speaking = asyncio.Lock()  # a source takes one frame at a time
        self.room.on("track_subscribed", lambda track, *_: self._hold(self._hear(track)))
        self.room.register_text_stream_handler("lk.chat", lambda reader, who: self._hold(self._chat(reader)))

    async def join(self) -> None:
        """Come in, show a state, publish a track, and greet the caller when it is there."""
        await self.room.connect(self._url, token(self._name, f"agent-{self._name}-1", agent=True))
        track = rtc.LocalAudioTrack.create_audio_track("agent", self._source)
        publication = await self.room.local_participant.publish_track(track)
        self._track_sid = publication.sid
        await self.room.local_participant.set_attributes({"lk.agent.state": "listening"})
        self._hold(self._greet(publication))

    async def leave(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
        await self._source.aclose()

    async def beep(self) -> None:
        """A tone of BEEP_SECONDS."""
        size = RATE // 100
        wave = np.rint(6000 * np.sin(2 * np.pi * 500 * np.arange(size) / RATE)).astype(np.int16).tobytes()
        async with self._speaking:
            self.beeps.append(time.monotonic())
            for _ in range(round(BEEP_SECONDS * 100)):
                await self._source.capture_frame(rtc.AudioFrame(wave, RATE, 1, size))

    async def tell(self, text: str, segment: str, *, final: bool, of: str | None = None) -> None:
        """Show a piece of transcript; `of` is the caller's identity when it is what the caller said."""
        me = self.room.local_participant
        attributes = {"lk.segment_id": segment, "lk.transcription_final": "true" if final else "false"}
        if of is None:
            attributes["lk.transcribed_track_id"] = self._track_sid
        writer = await me.stream_text(
            topic="lk.transcription", attributes=attributes, sender_identity=of or me.identity
        )
        await writer.write(text)
        await writer.aclose()

    async def _greet(self, publication: rtc.LocalTrackPublication) -> None:
        await publication.wait_for_subscription()
        await self.tell("Beep, I am here.", "greeting", final=True)
        await self.beep()

    async def _chat(self, reader: rtc.TextStreamReader) -> None:
        text = await reader.read_all()
        self.read.append(text)
        await self.tell(f"You wrote {text}", f"chat{len(self.read)}", final=True)
        await self.beep()

    async def _hear(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=16000, num_channels=1, frame_size_ms=10)
        loud, silent = 0, 0
        async for event in stream:
            samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(float)
            audible = float(np.sqrt((samples * samples).mean())) > 300
            loud, silent = loud + audible, 0 if audible else silent + 1
            if loud >= 10 and silent >= 20:
                loud = 0
                await self._answer()

    async def _answer(self) -> None:
        who = next(iter(self.room.remote_participants.values())).identity
        await self.tell("Are you", "u1", final=False, of=who)
        await self.tell("Are you there?", "u1", final=True, of=who)
        if self._answers:
            await self.tell("Beep, 42.", "a1", final=True)
            await self.beep()

    def _hold(self, run: Any) -> None:
        task = asyncio.ensure_future(run)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class StandIn:
    """The API: starts sessions with a Beeper each. Attributes: url; started, stopped: bodies and names that came."""

    def __init__(self, livekit_url: str, *, comes: bool = True, answers: bool = True) -> None:
        """`comes`: whether an agent joins at all; `answers`: whether it answers what it hears."""
        self.livekit_url, self._comes, self._answers = livekit_url, comes, answers
        self.url = ""
        self.started: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.agents: list[Beeper] = []
        self.app = FastAPI()
        self.app.post("/api/session/start")(self.start)
        self.app.post("/api/session/stop")(self.stop)
        self.app.get("/api/session/{session}/timings")(self.timings)

    async def start(self, request: Request, waitMs: int | None = None) -> Any:  # noqa: N803 - the API's name
        body = await request.json()
        if body.get("agent") == "nobody":
            return JSONResponse({"success": False, "error": "There is no such agent", "code": "unknown_agent"}, 422)
        session = f"session_{len(self.started)}"
        self.started.append({**body, "waitMs": waitMs})
        if self._comes:
            agent = Beeper(self.livekit_url, session, answers=self._answers)
            self.agents.append(agent)
            agent._hold(agent.join())
        return {
            "success": True,
            "sessionId": session,
            "status": "starting",
            "prewarmed": True,
            "reused": False,
            "roomName": session,
            "url": self.livekit_url,
            "token": token(session, f"caller-{session}"),
        }

    async def stop(self, request: Request) -> Any:
        self.stopped.append((await request.json())["sessionId"])
        return {"success": True, "message": "Session stopped"}

    async def timings(self, session: str) -> Any:
        return {"success": True, "sessionId": session, "attempt": 1, "steps": [{"name": "room", "ms": 5.0}]}


@asynccontextmanager
async def standing_in(livekit_url: str, **how: bool) -> AsyncIterator[StandIn]:
    """A StandIn that serves."""
    standin = StandIn(livekit_url, **how)
    port = free_ports(1)[0]
    server = uvicorn.Server(uvicorn.Config(standin.app, port=port, log_level="error", ws="none", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), "the stand-in can't serve"
        await asyncio.sleep(0.01)
    standin.url = f"http://127.0.0.1:{port}"
    try:
        yield standin
    finally:
        for agent in standin.agents:
            await agent.leave()
        server.should_exit = True
        server.force_exit = True
        await serving
