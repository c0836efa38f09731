import asyncio
import base64
import hashlib
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import jwt
import pytest
from livekit import api, rtc

from dispatcher.errors import BadRequest, BadSignature, LiveKitUnavailable
from dispatcher.livekit.port import OpenRoom, Participant, ParticipantDetails, WebhookKind
from dispatcher.livekit.rooms import LiveKitRooms, open_rooms
from session.fence import Ticket, caller_identity, read_ticket
from session.record import Session, new_session_id
from session.reservation import Reservation
from session.settings import CallLimits, Connections
from tests.session.making import NOON, a_session, eventually
from tests.support.livekit import KEY, SECRET, LiveKit, run_livekit

CALLERS_URL = "wss://calls.example"


def told(url: str) -> Connections:
    values: dict[str, Any] = {
        "livekit_url": url,
        "livekit_api_key": KEY,
        "livekit_api_secret": SECRET,
        "agent_name": "greenroom",
    }
    return Connections(_env_file=None, **values)


def limits() -> CallLimits:
    return CallLimits(_env_file=None, join_seconds=300, caller_grace=30, hangup_grace=10)


def own(**changes: Any) -> Session:
    return a_session(new_session_id(), **{"attempt": 3, **changes})


def claims(token: str) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return read


def webhook(body: dict[str, Any], *, secret: str = SECRET, key: str = KEY, lives: int = 300) -> tuple[bytes, str]:
    raw = json.dumps(body).encode()
    digest = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    now = int(time.time())
    return raw, jwt.encode({"iss": key, "nbf": now - 5, "exp": now + lives, "sha256": digest}, secret, "HS256")


@pytest.fixture
async def offline() -> AsyncIterator[LiveKitRooms]:
    """For what asks no server: nobody listens at its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with open_rooms(
            told(f"ws://127.0.0.1:{taken.getsockname()[1]}"), limits(), callers_url=CALLERS_URL
        ) as rooms:
            yield rooms


@pytest.fixture
async def rooms(livekit: LiveKit) -> AsyncIterator[LiveKitRooms]:
    async with open_rooms(told(livekit.url), limits(), callers_url=CALLERS_URL) as rooms:
        yield rooms


@pytest.fixture
async def server(livekit: LiveKit) -> AsyncIterator[api.LiveKitAPI]:
    async with api.LiveKitAPI(livekit.url, KEY, SECRET) as server:
        yield server


@pytest.mark.anyio
async def test_a_room_is_made_with_the_dispatch_of_the_current_attempt(
    rooms: LiveKitRooms, server: api.LiveKitAPI
) -> None:
    session = own()
    await rooms.create(session)
    found = await server.agent_dispatch.list_dispatch(session.room)
    assert [each.agent_name for each in found] == ["greenroom"]
    assert read_ticket(found[0].metadata) == Ticket(session.id, 3)


@pytest.mark.anyio
async def test_a_room_can_be_made_without_an_agent_and_its_agent_asked_for_later(
    rooms: LiveKitRooms, server: api.LiveKitAPI
) -> None:
    session = own(attempt=1, deployment="green")
    await rooms.create(session, with_agent=False)
    assert await rooms.asked_for(session.room) == []
    await rooms.dispatch(session)
    asked = await server.agent_dispatch.list_dispatch(session.room)
    (ours,) = [each for each in asked if each.agent_name]  # besides, the server asks for any agent without a name
    assert (ours.agent_name, ours.deployment) == ("greenroom", "green")
    assert read_ticket(ours.metadata) == Ticket(session.id, 1)
    assert await rooms.asked_for(session.room) == [ours.metadata]


@pytest.mark.anyio
async def test_making_a_room_again_changes_neither_the_room_nor_who_was_asked(
    rooms: LiveKitRooms, server: api.LiveKitAPI
) -> None:
    session = own()
    await rooms.create(session)
    before = await rooms.find(session.room)
    await rooms.create(session, with_agent=False)
    assert await rooms.find(session.room) == before
    assert len(await server.agent_dispatch.list_dispatch(session.room)) == 1


@pytest.mark.anyio
async def test_each_attempt_asks_for_itself(rooms: LiveKitRooms, server: api.LiveKitAPI) -> None:
    session = own(attempt=1)
    await rooms.create(session)
    await rooms.dispatch(replace(session, attempt=2))
    found = await server.agent_dispatch.list_dispatch(session.room)
    assert sorted(ticket.attempt for each in found if (ticket := read_ticket(each.metadata))) == [1, 2]


@pytest.mark.anyio
async def test_asking_for_an_agent_makes_the_room_where_there_is_none(rooms: LiveKitRooms) -> None:
    session = own()
    await rooms.dispatch(session)
    assert await rooms.find(session.room) is not None


@pytest.mark.anyio
async def test_only_our_own_agents_are_asked_for_by_us(rooms: LiveKitRooms, server: api.LiveKitAPI) -> None:
    session = own()
    await rooms.create(session, with_agent=False)
    other = api.CreateAgentDispatchRequest(room=session.room, agent_name="another", metadata="theirs")
    await server.agent_dispatch.create_dispatch(other)
    assert await rooms.asked_for(session.room) == []


@pytest.mark.anyio
async def test_a_room_is_found_by_its_whole_name(rooms: LiveKitRooms) -> None:
    session = own()
    assert await rooms.find(session.room) is None
    await rooms.create(session)
    found = await rooms.find(session.room)
    assert found is not None
    assert found.name == session.room
    assert found.sid.startswith("RM_")
    assert abs(found.made_at - time.time()) < 60
    assert await rooms.find(session.room[:-1]) is None


@pytest.mark.anyio
async def test_a_page_is_told_by_an_attribute_of_its_own_participant(rooms: LiveKitRooms, livekit: LiveKit) -> None:
    session = own()
    await rooms.create(session)
    room, changes = rtc.Room(), asyncio.Queue[dict[str, str]]()
    room.on("participant_attributes_changed", lambda changed, _: changes.put_nowait(changed))
    await room.connect(livekit.url, rooms.token(session, name=None))
    for state in ("recovering", "ready"):
        await rooms.set_caller_state(session.room, caller_identity(session.id), state)
        with anyio.fail_after(5):
            assert await changes.get() == {"greenroom.state": state}
    await room.disconnect()


@pytest.mark.anyio
async def test_a_page_that_is_gone_need_not_be_told(rooms: LiveKitRooms) -> None:
    session = own()
    await rooms.set_caller_state(session.room, caller_identity(session.id), "ready")
    await rooms.create(session)
    await rooms.set_caller_state(session.room, caller_identity(session.id), "ready")


@pytest.mark.faults
@pytest.mark.anyio
async def test_a_caller_in_the_room_counts_as_its_people(rooms: LiveKitRooms, livekit: LiveKit) -> None:
    session = own()
    await rooms.create(session)
    room = rtc.Room()
    await room.connect(livekit.url, rooms.token(session, name=None))

    async def counted() -> bool:
        found = await rooms.find(session.room)
        return found is not None and (found.people, found.publishers) == (1, 0)

    await eventually(counted)
    await room.disconnect()


@pytest.mark.anyio
async def test_a_room_outlives_the_rules_of_its_session(rooms: LiveKitRooms, server: api.LiveKitAPI) -> None:
    session = own()
    await rooms.create(session)
    (room,) = (await server.room.list_rooms(api.ListRoomsRequest(names=[session.room]))).rooms
    assert (room.empty_timeout, room.departure_timeout) == (360, 90)


@pytest.mark.anyio
async def test_a_token_lets_the_caller_join_speak_and_be_seen(rooms: LiveKitRooms, livekit: LiveKit) -> None:
    session = own()
    await rooms.create(session)
    room = rtc.Room()
    await room.connect(livekit.url, rooms.token(session, name="Ann"))
    assert (room.name, room.local_participant.identity) == (session.room, caller_identity(session.id))
    assert room.local_participant.name == "Ann"
    assert await rooms.participants(session.room) == [Participant(caller_identity(session.id))]
    await room.disconnect()


@pytest.mark.anyio
async def test_a_reserved_token_brings_its_dispatch_along(
    rooms: LiveKitRooms, server: api.LiveKitAPI, livekit: LiveKit
) -> None:
    session_id = new_session_id()
    ticket = Ticket(session_id, 1, Reservation(at=NOON, metadata={"topic": "Füße \U0001f600"}))
    front_end = ParticipantDetails(name="Ann", attributes={"from": "page"})
    room = rtc.Room()
    await room.connect(livekit.url, rooms.reserved_token(ticket, front_end, deployment="green"))
    assert room.local_participant.attributes["from"] == "page"
    found = await server.agent_dispatch.list_dispatch(session_id)
    assert [(each.agent_name, each.deployment) for each in found] == [("greenroom", "green")]
    assert [read_ticket(each) for each in await rooms.asked_for(session_id)] == [ticket]
    await room.disconnect()


@pytest.mark.anyio
async def test_a_deleted_room_is_gone_and_may_be_deleted_again(rooms: LiveKitRooms) -> None:
    session = own()
    await rooms.create(session)
    assert session.room in [each.name for each in await rooms.open_rooms()]
    await rooms.delete(session.room)
    await rooms.delete(session.room)
    assert session.room not in [each.name for each in await rooms.open_rooms()]
    assert await rooms.participants(session.room) == []


@pytest.mark.anyio
async def test_a_removed_participant_is_gone_and_may_be_removed_again(rooms: LiveKitRooms, livekit: LiveKit) -> None:
    session = own()
    await rooms.create(session)
    room = rtc.Room()
    await room.connect(livekit.url, rooms.token(session, name=None))
    await rooms.remove(session.room, caller_identity(session.id))
    until = time.monotonic() + 5
    while await rooms.participants(session.room):
        assert time.monotonic() < until
        await anyio.sleep(0.02)
    await rooms.remove(session.room, caller_identity(session.id))
    await room.disconnect()


@pytest.mark.anyio
async def test_a_server_that_is_there_is_pinged(rooms: LiveKitRooms) -> None:
    await rooms.ping(timeout=2)


@pytest.mark.anyio
async def test_an_absent_server_is_said_at_once_by_all_that_asks_it(offline: LiveKitRooms) -> None:
    session = own()
    began = time.monotonic()
    for asked in (
        offline.create(session),
        offline.dispatch(session),
        offline.find(session.room),
        offline.set_caller_state(session.room, "caller", "ready"),
        offline.asked_for(session.room),
        offline.delete(session.room),
        offline.remove(session.room, "caller"),
        offline.participants(session.room),
        offline.open_rooms(),
        offline.ping(timeout=1),
    ):
        with pytest.raises(LiveKitUnavailable):
            await asked
    assert time.monotonic() - began < 1


@pytest.mark.anyio
async def test_a_server_that_hangs_is_not_waited_for_beyond_the_ping() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        async with open_rooms(told(url), limits(), callers_url=url) as rooms:
            began = time.monotonic()
            with pytest.raises(LiveKitUnavailable):
                await rooms.ping(timeout=0.2)
            assert time.monotonic() - began < 1


@pytest.mark.anyio
async def test_a_wrong_secret_is_a_livekit_that_cannot_be_used(livekit: LiveKit) -> None:
    wrong = told(livekit.url).model_copy(update={"livekit_api_key": "nobody"})
    async with open_rooms(wrong, limits(), callers_url=livekit.url) as rooms:
        with pytest.raises(LiveKitUnavailable):
            await rooms.create(own())


@pytest.mark.anyio
async def test_callers_are_told_their_own_address(offline: LiveKitRooms) -> None:
    assert offline.url == CALLERS_URL


@pytest.mark.anyio
async def test_a_token_lasts_two_hours_and_opens_one_room(offline: LiveKitRooms) -> None:
    session = own()
    read = claims(offline.token(session, name=None))
    assert read["sub"] == caller_identity(session.id)
    assert read["exp"] - read["nbf"] == 7200
    rights = {"roomJoin": True, "room": session.room}
    assert read["video"] == rights | {"canPublish": True, "canSubscribe": True, "canPublishData": True}
    assert "roomConfig" not in read


@pytest.mark.anyio
async def test_a_reserved_token_lasts_ten_minutes_and_says_what_its_front_end_wants(offline: LiveKitRooms) -> None:
    front_end = ParticipantDetails(name="Ann", metadata="vip", attributes={"from": "page"})
    read = claims(offline.reserved_token(Ticket("session_a", 1), front_end, deployment=""))
    assert read["exp"] - read["nbf"] == 600
    assert (read["sub"], read["name"], read["metadata"]) == (caller_identity("session_a"), "Ann", "vip")
    assert read["video"]["room"] == "session_a"
    assert read["attributes"] == {"from": "page"}
    assert read["roomConfig"]["emptyTimeout"] == 360
    assert read["roomConfig"]["departureTimeout"] == 90


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("room_started", WebhookKind.ROOM_STARTED),
        ("participant_joined", WebhookKind.JOINED),
        ("participant_left", WebhookKind.LEFT),
        ("room_finished", WebhookKind.ROOM_FINISHED),
        ("track_published", None),
        ("something_new", None),
    ],
)
async def test_a_signed_webhook_is_read(offline: LiveKitRooms, event: str, kind: WebhookKind | None) -> None:
    who = {"identity": "caller-a", "kind": "AGENT", "disconnectReason": "DUPLICATE_IDENTITY"}
    body = {"event": event, "id": "EV_1", "room": {"name": "r", "sid": "RM_1"}, "participant": who, "newField": 1}
    hint = offline.read_webhook(*webhook(body))
    assert (hint.id, hint.kind, hint.room) == ("EV_1", kind, OpenRoom("r", "RM_1"))
    assert hint.participant == Participant("caller-a", kind="AGENT")
    assert hint.replaced


@pytest.mark.anyio
async def test_a_webhook_without_a_participant_names_none(offline: LiveKitRooms) -> None:
    hint = offline.read_webhook(*webhook({"event": "room_finished", "id": "EV_1", "room": {"name": "r"}}))
    assert hint.participant is None
    assert not hint.replaced


GOOD = {"event": "room_finished", "id": "EV_1", "room": {"name": "r"}}
RAW, SIGNATURE = webhook(GOOD)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "signature"),
    [
        pytest.param(RAW, "", id="no signature"),
        pytest.param(RAW, "Bearer x.y.z", id="no token"),
        pytest.param(RAW, webhook(GOOD, secret="x" * 36)[1], id="another secret"),
        pytest.param(RAW, webhook(GOOD, key="other")[1], id="another key"),
        pytest.param(RAW, webhook(GOOD, lives=-300)[1], id="a signature that is too old"),
        pytest.param(RAW + b" ", SIGNATURE, id="another body"),
        pytest.param(b"\xff", SIGNATURE, id="a body that is no text"),
        pytest.param(RAW, jwt.encode({"iss": KEY, "exp": 4e9}, SECRET, "HS256"), id="a token that signs no body"),
        pytest.param(
            RAW, jwt.encode({"iss": KEY, "exp": 4e9, "sha256": "@"}, SECRET, "HS256"), id="a hash that is none"
        ),
        pytest.param(RAW, jwt.encode({"iss": KEY, "exp": 4e9, "sha256": 5}, SECRET, "HS256"), id="a hash of no type"),
    ],
)
async def test_a_webhook_that_livekit_did_not_sign_is_refused(
    offline: LiveKitRooms, body: bytes, signature: str
) -> None:
    with pytest.raises(BadSignature):
        offline.read_webhook(body, signature)
    with pytest.raises(BadRequest, match="signed, but it is not a LiveKit webhook"):
        offline.read_webhook(*webhook({"event": 5}))


@pytest.mark.anyio
async def test_a_server_that_dies_under_a_kept_connection_is_said(tmp_path: Path) -> None:
    with run_livekit(tmp_path) as server:
        async with open_rooms(told(server.url), limits(), callers_url=server.url) as rooms:
            await rooms.create(own())
            server.process.kill()
            server.process.wait()
            with pytest.raises(LiveKitUnavailable):
                await rooms.create(own())
