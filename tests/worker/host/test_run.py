"""A worker refuses to start with faulty settings or agents, and drains when it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from livekit import api

from bench.harness.system import alive
from session.errors import SessionNotFound
from session.fence import Ticket
from session.record import EndReason, State, ended, new_session_id
from session.reservation import Reservation
from session.store.ports import update
from tests.session.making import eventually
from tests.support.livekit import LiveKit
from tests.worker.running import CALL_SECONDS, RunningWorker, a_running_worker, answered

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

ENVIRONMENT = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "a-secret-that-nobody-may-see-0123456789",
}


def _start(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GREENROOM_", "LIVEKIT_"))}
    return subprocess.run(
        [sys.executable, "-m", "worker"],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_keys_are_named_and_given_ones_not_shown(tmp_path):
    result = _start(tmp_path, LIVEKIT_API_SECRET=ENVIRONMENT["LIVEKIT_API_SECRET"])
    assert result.returncode == 2
    assert "LIVEKIT_API_KEY" in result.stderr
    assert ENVIRONMENT["LIVEKIT_API_SECRET"] not in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def broken(:", "default.py:1"),
        (
            "from greenroom import Agent\nagent = Agent(name='default', prompt='p', greeting='g', llm='gpt')",
            "gpt",
        ),
        (
            "from greenroom import Agent\nagent = Agent(name='default', prompt='p', greeting='g', llm='groq')",
            "GROQ_API_KEY",
        ),
    ],
)
def test_a_faulty_agent_is_a_clear_error_when_the_worker_starts(tmp_path, text, expected):
    (tmp_path / "default.py").write_text(text)
    result = _start(tmp_path, **ENVIRONMENT, GREENROOM_AGENTS=str(tmp_path))
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr


async def test_at_a_handover_each_call_is_given_to_other_workers_before_its_agent_leaves(
    tmp_path: Path, livekit: LiveKit, valkey_url: str, namespace: str
) -> None:
    async with a_running_worker(tmp_path, livekit, valkey_url, namespace, GREENROOM_DRAIN="handover") as worker:
        rooms = [f"{namespace}-{number}" for number in range(2)]
        for room in rooms:
            await worker.call(room)
        worker.process.send_signal(signal.SIGTERM)
        for room in rooms:
            session = await worker.until(room, State.RECOVERING, 3)
            assert (session.job, session.recoveries, session.error) == (None, 1, None)
        heartbeat = await worker.heartbeat()
        assert heartbeat is not None
        assert heartbeat.draining  # said before, so that none of them comes back here
        assert await worker.until_gone(seconds=10) == 0
        assert [await worker.agents(room) for room in rooms] == [[], []]
        heartbeat = await worker.heartbeat()
        assert heartbeat is not None
        assert (heartbeat.left, heartbeat.idle, heartbeat.active) == (True, 0, 0)
        assert "event=agent_lost" not in worker.log.read_text()  # each said so itself


async def test_a_worker_that_is_stopped_lets_its_calls_end_by_themselves(
    tmp_path: Path, livekit: LiveKit, valkey_url: str, namespace: str
) -> None:
    async with a_running_worker(tmp_path, livekit, valkey_url, namespace) as worker:
        await worker.call(namespace)
        everybody = [worker.process.pid, *(process.pid for process in worker.processes())]
        for pid in everybody:
            os.kill(pid, signal.SIGTERM)  # what an init system does: it tells all of a service's processes
        await worker.until_heartbeat(lambda heartbeat: heartbeat.draining, seconds=5)

        late = await worker.offer(f"{namespace}-late")
        assert all(alive(pid) for pid in everybody)
        assert await worker.agents(namespace) == [f"agent-{namespace}-1"]

        session = await answered(
            lambda: update(worker.store, namespace, lambda each, now: ended(each, EndReason.STOPPED, now))
        )
        assert session.recoveries == 0
        await worker.server.room.delete_room(api.DeleteRoomRequest(room=namespace))
        assert await worker.until_gone(seconds=15) == 0
        assert (await worker.session(late)).accepted is None
        heartbeat = await worker.heartbeat()
        assert heartbeat is not None
        assert heartbeat.left


async def test_a_session_that_its_callers_token_brings_along_needs_no_dispatcher_to_begin(
    tmp_path: Path, livekit: LiveKit, valkey_url: str, namespace: str
) -> None:
    async with a_running_worker(tmp_path, livekit, valkey_url, namespace) as worker:
        heartbeat = await worker.heartbeat()
        assert heartbeat is not None
        assert heartbeat.reads_reservations
        assert heartbeat.languages["stt/moonshine"] == ["en"]
        assert "heart" in heartbeat.voices["tts/hibari"]
        assert heartbeat.speaks["default"] == {"stt": "moonshine", "llm": "rules", "tts": "hibari"}
        room = new_session_id()
        now = await answered(worker.store.now)
        ticket = Ticket(room, 1, Reservation(at=now, user_name="Ann", metadata={"a": 1}))
        dispatch = api.RoomAgentDispatch(agent_name=namespace, metadata=ticket.to_json())
        await worker.server.room.create_room(api.CreateRoomRequest(name=room, agents=[dispatch]))
        await eventually(lambda: _is_recorded(worker, room), seconds=CALL_SECONDS)
        session = await worker.until(room, State.READY, CALL_SECONDS)
        assert (session.attempt, session.user_name, session.metadata) == (1, "Ann", {"a": 1})
        assert await worker.agents(room) == [f"agent-{room}-1"]


async def _is_recorded(worker: RunningWorker, session_id: str) -> bool:
    try:
        await worker.session(session_id)
    except SessionNotFound:
        return False
    return True


async def test_a_call_that_outlasts_the_grace_is_handed_over(
    tmp_path: Path, livekit: LiveKit, valkey_url: str, namespace: str
) -> None:
    async with a_running_worker(tmp_path, livekit, valkey_url, namespace, GREENROOM_DRAIN_SECONDS="1") as worker:
        await worker.call(namespace)
        worker.process.send_signal(signal.SIGTERM)
        await worker.until(namespace, State.RECOVERING, 5)
        assert await worker.until_gone(seconds=10) == 0
        assert await worker.agents(namespace) == []
