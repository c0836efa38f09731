from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from dispatcher.access.proof import Proofs
from dispatcher.api import errors as refusals
from dispatcher.api.sessions import SessionRoutes
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.admission import RESTART_SECONDS, TURN_SECONDS
from session.record import ErrorReason as Error
from session.record import Session, State, became_ready, claimed, failed
from session.store.ports import WORKER_SECONDS, Utterance, update
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.gates import LIVEKIT_SECRET, a_gate, an_access
from tests.dispatcher.house import a_starts
from tests.session.making import NOON, a_session, a_session_in, a_worker, ends
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
MAX_BOTS = 9


@dataclass
class Stage:
    clock: Clock
    store: MemoryStore
    metrics: Metrics
    http: httpx.AsyncClient

    async def start(self, **body: Any) -> dict[str, Any]:
        answer = await self.http.post("/api/session/start?waitMs=0", json=body)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    async def get(self, path: str) -> dict[str, Any]:
        said: dict[str, Any] = (await self.http.get(path)).json()
        return said

    async def agent(self, session_id: str) -> Session:
        return await update(self.store, session_id, _ready)


def _ready(session: Session, now: float) -> Session:
    mine = {"attempt": session.attempt, "job": "job_a", "now": now}
    return became_ready(claimed(session, worker="worker_a", **mine), steps={"ready": 410.0, "claim": 210.0}, **mine)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = Clock(NOON)
    store = MemoryStore(clock)
    await store.beat(a_worker("worker_a", idle=1, agents={"default": (), "shop": ()}))
    metrics, app = Metrics(CollectorRegistry()), FastAPI()
    refusals.install(app)
    dispatch = a_starts(store, FakeRooms(), max_seats=MAX_BOTS)
    app.include_router(SessionRoutes(store, dispatch, a_gate(store), metrics, an_access()).router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        yield Stage(clock, store, metrics, http)


async def test_a_start_says_all_that_clients_rely_on(stage: Stage) -> None:
    said = await stage.start(userId="ann", agent="shop")
    session_id = said["sessionId"]
    assert said == {
        "success": True,
        "sessionId": session_id,
        "sessionSecret": Proofs(LIVEKIT_SECRET).secret_of(session_id),
        "status": "starting",
        "prewarmed": True,
        "reused": False,
        "message": "Session starting",
        "estimatedWait": 0.5,
        "queuePosition": None,
        "taskId": f"start-{session_id}",
        "roomName": session_id,
        "url": "ws://callers",
        "token": f"token of {session_id}",
    }


async def test_a_start_again_says_that_it_is_the_same_session(stage: Stage) -> None:
    first = await stage.start(userId="ann")
    await stage.agent(first["sessionId"])
    again = await stage.start(userId="ann")
    assert again["sessionId"] == first["sessionId"]
    assert (again["reused"], again["status"], again["message"]) == (True, "ready", "Using existing session")
    assert again["estimatedWait"] == 0


async def test_a_session_shows_its_record_and_nothing_private(stage: Stage) -> None:
    session_id = (await stage.start(userId="ann", userName="Ann", metadata={"a": 1}))["sessionId"]
    stage.clock.seconds += 2
    await stage.agent(session_id)
    assert await stage.get(f"/api/session/{session_id}") == {
        "success": True,
        "sessionId": session_id,
        "status": "ready",
        "userId": "ann",
        "agent": "default",
        "createdAt": NOON,
        "prewarmed": True,
        "recoveries": 0,
        "caller": "absent",
        "release": "",
        "startupTime": 2.0,
        "attempt": 1,
        "worker": "worker_a",
        "lastActive": NOON + 2,
        "error": None,
        "endReason": None,
        "endedAt": None,
        "phone": None,
    }


async def test_asking_for_a_session_keeps_it_active(stage: Stage) -> None:
    session_id = (await stage.start())["sessionId"]
    stage.clock.seconds += 60
    assert (await stage.get(f"/api/session/{session_id}"))["lastActive"] == NOON + 60
    assert (await stage.store.get(session_id)).last_active == NOON + 60


async def test_a_stop_is_said_the_same_way_twice_and_counted_once(stage: Stage) -> None:
    session_id = (await stage.start())["sessionId"]
    for _ in range(2):
        answer = await stage.http.post("/api/session/stop", json={"sessionId": session_id})
        assert (answer.status_code, answer.json()) == (200, {"success": True, "message": "Session stopped"})
    said = await stage.get(f"/api/session/{session_id}")
    assert (said["status"], said["endReason"], said["endedAt"]) == ("ended", "stopped", NOON)
    assert ends(stage.store) == {"stopped": 1}


async def test_a_failed_session_says_why(stage: Stage) -> None:
    session_id = (await stage.start())["sessionId"]
    await update(stage.store, session_id, lambda each, now: failed(each, Error.PROVIDER_FAILED, now))
    said = await stage.get(f"/api/session/{session_id}")
    assert (said["success"], said["status"], said["error"]) == (True, "error", "provider_failed")


async def test_live_sessions_are_listed_newest_first_page_by_page(stage: Stage) -> None:
    ids = []
    for _ in range(3):
        stage.clock.seconds += 1
        ids.append((await stage.start())["sessionId"])
    await stage.http.post("/api/session/stop", json={"sessionId": ids[1]})
    first = await stage.get("/api/sessions?limit=1")
    assert (first["count"], [each["sessionId"] for each in first["sessions"]]) == (1, [ids[2]])
    rest = (await stage.http.get("/api/sessions", params={"limit": 5, "cursor": first["cursor"]})).json()
    assert [each["sessionId"] for each in rest["sessions"]] == [ids[0]]
    assert rest["cursor"] is None
    over = await stage.get("/api/sessions?status=ended")
    assert [each["sessionId"] for each in over["sessions"]] == [ids[1]]
    assert not {"token", "roomName", "metadata"} & over["sessions"][0].keys()


async def test_what_waits_is_listed_by_default_and_what_a_token_reserved_is_not(stage: Stage) -> None:
    await stage.store.start(a_session_in(State.QUEUED), max_seats=9, op="a")
    await stage.store.start(a_session("session_b", state=State.RESERVED), max_seats=9, op="b")
    assert [each["sessionId"] for each in (await stage.get("/api/sessions"))["sessions"]] == ["session_a"]
    reserved = await stage.get("/api/sessions?status=reserved")
    assert [each["sessionId"] for each in reserved["sessions"]] == ["session_b"]


async def test_the_transcript_is_what_was_said_so_far(stage: Stage) -> None:
    session_id = (await stage.start())["sessionId"]
    await stage.agent(session_id)
    assert (await stage.get(f"/api/session/{session_id}/transcript"))["items"] == []
    said = Utterance(speaker="agent", text="Hello!", at=NOON + 1, interrupted=True)
    await stage.store.say(session_id, said, attempt=1, job="job_a")
    assert await stage.get(f"/api/session/{session_id}/transcript") == {
        "success": True,
        "sessionId": session_id,
        "items": [{"speaker": "agent", "text": "Hello!", "at": NOON + 1, "interrupted": True}],
        "cursor": None,
    }


async def test_the_transcript_comes_in_pages(stage: Stage) -> None:
    session_id = (await stage.start())["sessionId"]
    await stage.agent(session_id)
    for number in range(450):
        said = Utterance(speaker="user", text=str(number), at=NOON)
        await stage.store.say(session_id, said, attempt=1, job="job_a")
    path, sizes, texts = f"/api/session/{session_id}/transcript", [], []
    page = await stage.get(path)
    while True:
        sizes.append(len(page["items"]))
        texts += [item["text"] for item in page["items"]]
        if page["cursor"] is None:
            break
        page = await stage.get(f"{path}?cursor={page['cursor']}")
    assert (sizes, texts) == ([200, 200, 50], [str(number) for number in range(450)])
    assert len((await stage.get(f"{path}?limit=1000&cursor="))["items"]) == 450
    for wrong in ("limit=0", "limit=1001", "cursor=-1", "cursor=x", "cursor=" + "9" * 10):
        assert (await stage.http.get(f"{path}?{wrong}")).status_code == 422


async def test_the_logs_are_the_newest_lines_oldest_first(stage: Stage) -> None:
    session_id = (await stage.start())["sessionId"]
    await stage.store.log(session_id, "one")
    await stage.store.log(session_id, "two", level="warning", ms=5)
    logs = (await stage.get(f"/api/session/{session_id}/logs?limit=2"))["logs"]
    assert [line["event"] for line in logs] == ["one", "two"]
    assert logs[1] == {"at": NOON, "level": "warning", "event": "two", "ms": 5}
    assert (await stage.get(f"/api/session/{session_id}/logs"))["logs"][0]["event"] == "starting"


async def test_the_timings_are_steps_in_their_order(stage: Stage) -> None:
    session_id = (await stage.start())["sessionId"]
    await stage.agent(session_id)
    said = await stage.get(f"/api/session/{session_id}/timings")
    assert [step["name"] for step in said["steps"]] == ["request", "room", "claim", "ready"]
    assert said["steps"][3]["ms"] == 410.0
    assert said["attempt"] == 1


async def test_starts_are_counted_by_their_outcome(stage: Stage) -> None:
    await stage.start(userId="ann")
    await stage.start(userId="ann")
    await stage.http.post("/api/session/start", json={"agent": "unknown"})
    text = stage.metrics.text()
    for outcome in (b"new", b"reused", b"unknown_agent"):
        assert b'greenroom_starts_total{outcome="' + outcome + b'"} 1.0' in text


async def queued(stage: Stage, **body: Any) -> dict[str, Any]:
    """What a start is told while every slot of the only worker is taken."""
    await stage.store.beat(a_worker("worker_a", slots=4, active=4, idle=0, agents={"default": ()}))
    return await stage.start(**body)


async def test_a_start_that_must_wait_says_where_it_stands_and_for_how_long(stage: Stage) -> None:
    first = await queued(stage)
    stage.clock.seconds += 1
    second = await queued(stage)
    assert (first["status"], first["message"], first["prewarmed"]) == ("queued", "Session queued", False)
    assert [each["queuePosition"] for each in (first, second)] == [1, 2]
    assert [each["estimatedWait"] for each in (first, second)] == [TURN_SECONDS / 4, TURN_SECONDS / 2]
    assert first["token"]


async def test_a_start_is_queued_while_the_worker_restarts_and_refused_after_five_minutes(stage: Stage) -> None:
    stage.clock.seconds += WORKER_SECONDS
    said = await stage.start()
    assert (said["status"], said["queuePosition"], said["estimatedWait"]) == ("queued", 1, RESTART_SECONDS)
    stage.clock.seconds += 1
    answer = await stage.http.post("/api/session/start")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_worker")
    assert answer.headers["Retry-After"]


async def test_with_every_seat_taken_a_start_is_refused_at_once(stage: Stage) -> None:
    await stage.store.beat(a_worker("worker_a", slots=MAX_BOTS + 1, agents={"default": ()}))
    for _ in range(MAX_BOTS):
        await stage.start()
    answer = await stage.http.post("/api/session/start")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_capacity")
    assert answer.headers["Retry-After"]


async def test_who_waits_is_shown_listed_and_given_his_place_again(stage: Stage) -> None:
    session_id = (await queued(stage, userId="ann"))["sessionId"]
    said = await stage.get(f"/api/session/{session_id}")
    assert (said["status"], said["attempt"], said["startupTime"], said["worker"]) == ("queued", 0, None, None)
    assert [each["sessionId"] for each in (await stage.get("/api/sessions"))["sessions"]] == [session_id]
    again = await queued(stage, userId="ann")
    assert (again["sessionId"], again["reused"], again["status"]) == (session_id, True, "queued")
    assert (again["queuePosition"], again["message"]) == (1, "Using existing session")


async def test_who_stops_waiting_has_stopped(stage: Stage) -> None:
    session_id = (await queued(stage))["sessionId"]
    answer = await stage.http.post("/api/session/stop", json={"sessionId": session_id})
    assert answer.json() == {"success": True, "message": "Session stopped"}
    said = await stage.get(f"/api/session/{session_id}")
    assert (said["status"], said["endReason"]) == ("ended", "stopped")
    assert await stage.store.queue() == []
    assert ends(stage.store) == {"stopped": 1}


async def test_a_page_of_pipecats_is_written_down_as_one(stage):
    spoken = [(await stage.store.get((await stage.start(**body))["sessionId"])).rtvi for body in ({}, {"rtvi": True})]
    assert spoken == ["", "2.0.0"]
