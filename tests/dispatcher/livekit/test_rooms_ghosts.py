"""What is asked of a real livekit-server about an agent that may be a ghost."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from livekit import api, rtc

from dispatcher.livekit.rooms import ON_BEHALF_ATTRIBUTE, LiveKitRooms, open_rooms
from session.fence import ALIVE_METHOD, agent_identity
from session.record import Session
from tests.dispatcher.livekit.test_rooms import CALLERS_URL, limits, own, told
from tests.session.making import eventually
from tests.support.livekit import KEY, SECRET, LiveKit

pytestmark = pytest.mark.anyio

ASK_SECONDS = 0.8


@pytest.fixture
async def rooms(livekit: LiveKit) -> AsyncIterator[LiveKitRooms]:
    async with open_rooms(told(livekit.url), limits(), callers_url=CALLERS_URL) as rooms:
        yield rooms


@asynccontextmanager
async def in_the_room(livekit: LiveKit, session: Session, identity: str) -> AsyncIterator[rtc.Room]:
    """Somebody is in the session's room under this identity."""
    grants = api.VideoGrants(room_join=True, room=session.room, can_publish=True, can_update_own_metadata=True)
    token = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()
    room = rtc.Room()
    await room.connect(livekit.url, token)
    try:
        yield room
    finally:
        await room.disconnect()


async def test_a_ghost_is_no_longer_taken_for_the_agent_and_heard_by_nobody(
    rooms: LiveKitRooms, livekit: LiveKit
) -> None:
    session = own(attempt=2)
    ghost = agent_identity(session.id, 1)
    await rooms.create(session, with_agent=False)
    async with in_the_room(livekit, session, ghost) as its, in_the_room(livekit, session, "caller") as callers:
        source = rtc.AudioSource(24_000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("agent", source)
        publication = await its.local_participant.publish_track(track)

        async def heard() -> bool:
            return [each.unmuted for each in await rooms.participants(session.room)].count((publication.sid,)) == 1

        await eventually(heard)
        await rooms.mark_ghost(session.room, ghost)
        await rooms.mute(session.room, ghost, publication.sid)

        async def told_to_the_page() -> bool:
            seen = callers.remote_participants.get(ghost)
            muted = seen is not None and [each.muted for each in seen.track_publications.values()] == [True]
            return muted and seen is not None and seen.attributes.get(ON_BEHALF_ATTRIBUTE) == "successor"

        await eventually(told_to_the_page)
        assert [each.unmuted for each in await rooms.participants(session.room) if each.identity == ghost] == [()]
        await rooms.remove(session.room, ghost)


async def test_who_is_gone_need_be_neither_marked_nor_muted(rooms: LiveKitRooms) -> None:
    session = own()
    await rooms.create(session, with_agent=False)
    await rooms.mark_ghost(session.room, "agent-gone")
    await rooms.remove(session.room, "agent-gone")


async def test_an_agent_that_lives_answers_and_one_that_hangs_does_not(rooms: LiveKitRooms, livekit: LiveKit) -> None:
    session = own(attempt=1)
    identity = agent_identity(session.id, 1)
    await rooms.create(session, with_agent=False)
    async with in_the_room(livekit, session, identity) as its:

        async def alive(_: rtc.RpcInvocationData) -> str:
            return ""

        its.local_participant.register_rpc_method(ALIVE_METHOD, alive)

        async def answered() -> bool:  # its data channel opens a moment after it has joined
            return await rooms.answers(session.room, identity, timeout=ASK_SECONDS)

        await eventually(answered)

        async def hangs(_: rtc.RpcInvocationData) -> str:
            await asyncio.Event().wait()
            return ""

        its.local_participant.register_rpc_method(ALIVE_METHOD, hangs)
        began = time.monotonic()
        assert not await rooms.answers(session.room, identity, timeout=ASK_SECONDS)
        assert time.monotonic() - began < ASK_SECONDS + 0.3


@pytest.mark.parametrize("made", [True, False], ids=["an empty room", "no room"])
async def test_nobody_answers_in(rooms: LiveKitRooms, made: bool) -> None:
    session = own()
    if made:
        await rooms.create(session, with_agent=False)
    with anyio.fail_after(ASK_SECONDS + 0.5):
        assert not await rooms.answers(session.room, agent_identity(session.id, 1), timeout=ASK_SECONDS)


@pytest.mark.parametrize("state", ["new", "closed", "none"])
async def test_that_nobody_is_in_a_room_is_known_at_once(rooms: LiveKitRooms, state: str) -> None:
    """Also of one that is gone, which would answer nothing for three seconds."""
    session = own()
    if state != "none":
        await rooms.create(session, with_agent=False)
    if state == "closed":
        await rooms.delete(session.room)
    with anyio.fail_after(1):
        assert await rooms.participants(session.room) == []
