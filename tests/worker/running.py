"""A real worker, `python -m worker`, with calls in the rooms of a real livekit-server; the dispatcher is the test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio
import psutil
from livekit import api

from bench.harness.system import FOREIGN, ROOT
from runtime.retry import retry
from session.errors import StoreUnavailable
from session.fence import Ticket
from session.record import Session, State
from session.store.ports import WORKER_SECONDS, Worker
from session.store.redis.store import RedisStore, open_store
from tests.session.making import a_session, eventually
from tests.support.livekit import KEY, SECRET, LiveKit

WARM_SECONDS = 60.0  # 8 s on a machine with nothing else to do
CALL_SECONDS = 15.0  # 0.5 s there
STORE_SECONDS = 10.0  # 1 ms there

Answer = TypeVar("Answer")


def answered(ask: Callable[[], Awaitable[Answer]]) -> Awaitable[Answer]:
    """The store's answer, however busy the machine is."""
    return retry(ask, STORE_SECONDS, on=StoreUnavailable)


@dataclass(frozen=True)
class RunningWorker:
    """The worker, and what it works on. `name`: its own and that of its agents; no other worker has it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    store: RedisStore
    server: api.LiveKitAPI

    async def call(self, session_id: str) -> Session:
        """A session whose agent is ready, in a room of its own; its caller has not joined yet."""
        await self.offer(session_id)
        return await self.until(session_id, State.READY, CALL_SECONDS)

    async def offer(self, session_id: str) -> str:
        """A session for which an agent was asked."""
        now = await answered(self.store.now)
        session = a_session(session_id, created_at=now, since=now)
        await answered(lambda: self.store.start(session, max_seats=9, op=session_id))
        await self.server.room.create_room(api.CreateRoomRequest(name=session_id))
        ticket = Ticket(session_id, 1).to_json()
        await self.server.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name=self.name, room=session_id, metadata=ticket)
        )
        return session_id

    async def session(self, session_id: str) -> Session:
        """Its record."""
        return await answered(lambda: self.store.get(session_id))

    async def until(self, session_id: str, state: State, seconds: float) -> Session:
        """The session, as soon as it is in this state."""
        end = time.monotonic() + seconds
        while (session := await self.session(session_id)).state is not state:
            assert time.monotonic() < end, f"not within {seconds:g} s: {session}\n{self.log.read_text()}"
            await anyio.sleep(0.01)
        return session

    async def agents(self, room: str) -> list[str]:
        """Who is in the room."""
        answer = await self.server.room.list_participants(api.ListParticipantsRequest(room=room))
        return [participant.identity for participant in answer.participants]

    @property
    def itself(self) -> psutil.Process:
        """The worker's parent process, also where another command has started it."""
        started = psutil.Process(self.process.pid)
        return next((each for each in started.children() if each.cmdline()[1:] == ["-m", "worker"]), started)

    def processes(self) -> list[psutil.Process]:
        """All that it has started: the forkserver, and the processes that wait for a call or have one."""
        return psutil.Process(self.process.pid).children(recursive=True)

    async def heartbeat(self) -> Worker | None:
        """Its last one."""
        workers = await answered(lambda: self.store.workers(seen_within=WORKER_SECONDS))
        return next((worker for worker in workers if worker.id == self.name), None)

    async def until_heartbeat(self, holds: Callable[[Worker], bool], *, seconds: float) -> Worker:
        """Its heartbeat, as soon as this holds of it."""
        found: list[Worker] = []

        async def held() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            heartbeat = await self.heartbeat()
            if heartbeat is not None and holds(heartbeat):
                found.append(heartbeat)
            return bool(found)

        await eventually(held, seconds=seconds)
        return found[0]

    async def until_gone(self, *, seconds: float) -> int:
        """Its exit code, once it has ended."""

        async def ended() -> bool:
            return self.process.poll() is not None

        await eventually(ended, seconds=seconds)
        return self.process.returncode


@asynccontextmanager
async def a_running_worker(
    directory: Path, livekit: LiveKit, valkey_url: str, namespace: str, *, under: Sequence[str] = (), **given: Any
) -> AsyncIterator[RunningWorker]:
    """A worker with one warm process, started by the command `under`; afterwards it and all its processes are gone."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN and "GREENROOM" not in name}
    ours = {
        "PYTHONPATH": str(ROOT),
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
        "REDIS_URL": valkey_url,
        "GREENROOM_NAMESPACE": namespace,
        "GREENROOM_AGENT_NAME": namespace,
        "GREENROOM_WORKER_ID": namespace,
        "GREENROOM_AGENTS": str(ROOT / "agents"),
        "GREENROOM_WORKER_PORT": "0",
        "GREENROOM_SLOTS": "4",
        "PREWARM_POOL_SIZE": "1",
    }
    log = directory / "worker.log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as it is forked
            [*under, sys.executable, "-m", "worker"],
            cwd=directory,
            env={**kept, **ours, **given},
            stdout=out,
            stderr=out,
        )
    family = {psutil.Process(process.pid)}
    try:
        async with (
            open_store(valkey_url, namespace=namespace, keep_seconds=60) as store,
            api.LiveKitAPI(livekit.url, KEY, SECRET) as server,
        ):
            worker = RunningWorker(namespace, process, log, store, server)
            await worker.until_heartbeat(lambda heartbeat: heartbeat.idle > 0, seconds=WARM_SECONDS)
            family.update(worker.processes())
            yield worker
    finally:
        if process.poll() is None:
            family.update(psutil.Process(process.pid).children(recursive=True))
        for each in family:
            if each.is_running():
                each.kill()
        process.wait()
