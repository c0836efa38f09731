"""The two designs, each able to give a caller an agent and to take it away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Protocol

import psutil
from livekit import api

from bench.harness.idle import job_processes, settled
from bench.harness.processes import in_a_call
from bench.harness.system import ROOT, System
from client.api import ControlError
from client.caller import Caller

STOP_TRIES = 5  # an overloaded machine may answer 503
EXIT_SECONDS = 10.0  # for a process whose room was closed


class Design(Protocol):
    """A way to give a caller an agent."""

    name: str

    async def place(self, caller: Caller) -> None:
        """Ask for an agent and join the room meanwhile."""

    def job(self, caller: Caller) -> psutil.Process:
        """The process that runs the call."""

    async def end(self, caller: Caller) -> None:
        """End the call, and wait until its process is gone."""


class GreenroomDesign:
    """Greenroom, as `greenroom up` runs it."""

    name = "Greenroom"

    def __init__(self, system: System) -> None:
        self._system = system

    async def place(self, caller: Caller) -> None:
        """As the Design says."""
        await caller.start()
        await caller.join()

    def job(self, caller: Caller) -> psutil.Process:
        """As the Design says; there must be one call only."""
        (found,) = [process for process in job_processes(self._system) if in_a_call(process)]
        return found

    async def end(self, caller: Caller) -> None:
        """As the Design says."""
        if caller.started is None:
            return
        for _ in range(STOP_TRIES - 1):
            with contextlib.suppress(ControlError):
                await caller.stop()
                break
            await asyncio.sleep(1.0)
        else:
            await caller.stop()
        await settled(self._system, pool=0)


class ProcessPerCallDesign:
    """A process per call, on the same livekit-server. What took its requests and queued them is left out."""

    name = "process per call"

    def __init__(self, system: System, log: Path) -> None:
        self._system, self._log = system, log
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def place(self, caller: Caller) -> None:
        """As the Design says."""
        session = f"session_bench{secrets.token_hex(8)}"
        caller.asked_at = time.monotonic()
        process = await self._spawn(session)
        self._running[self._key(caller)] = process
        await caller.join(self._system.livekit_url, self._token(session, f"caller-{session}"))

    def job(self, caller: Caller) -> psutil.Process:
        """As the Design says."""
        return psutil.Process(self._running[self._key(caller)].pid)

    async def end(self, caller: Caller) -> None:
        """As the Design says."""
        process = self._running.pop(self._key(caller), None)
        room = caller.room.name
        if caller.room.isconnected():
            url = self._system.livekit_url
            async with api.LiveKitAPI(url, self._system.livekit_api_key, self._system.livekit_api_secret) as livekit:
                await livekit.room.delete_room(api.DeleteRoomRequest(room=room))
        if process is not None:
            await _gone(process)

    async def close(self) -> None:
        """End what is left."""
        for process in self._running.values():
            process.kill()
            await process.wait()

    async def _spawn(self, session: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "BENCH_TOKEN": self._token(session, f"agent-{session}-1", agent=True),
            "LOGURU_LEVEL": "WARNING",  # as the product's own processes have it
            "GREENROOM_AGENTS": str(ROOT / "agents"),
        }
        command = [sys.executable, "-m", "bench.compare.process_per_call", self._system.livekit_url, session]
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _token(self, room: str, identity: str, *, agent: bool = False) -> str:
        grants = api.VideoGrants(room_join=True, room=room)
        made = api.AccessToken(self._system.livekit_api_key, self._system.livekit_api_secret)
        made = made.with_identity(identity).with_grants(grants)
        return (made.with_kind("agent") if agent else made).to_jwt()

    @staticmethod
    def _key(caller: Caller) -> str:
        return str(id(caller))


async def _gone(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), EXIT_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
