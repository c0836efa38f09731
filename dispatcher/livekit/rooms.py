"""LiveKit's rooms, tokens, dispatches and webhooks; the only importer of its server SDK, whose errors end here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

import aiohttp
import jwt
from google.protobuf.json_format import ParseError
from livekit import api
from livekit.api.twirp_client import TwirpClient
from livekit.protocol.room import PerformRpcRequest, PerformRpcResponse

from dispatcher.errors import BadRequest, BadSignature, LiveKitUnavailable
from dispatcher.livekit.port import (
    RESERVED_TOKEN_SECONDS,
    ROOM_SLACK_SECONDS,
    STATE_ATTRIBUTE,
    OpenRoom,
    Participant,
    ParticipantDetails,
    RoomWebhook,
    WebhookKind,
)
from session.caller import CALL_STATUS
from session.fence import ALIVE_METHOD, SUCCESSOR, Ticket, caller_identity
from session.record import Session
from session.settings import CallLimits, Connections

CALL_SECONDS = 3.0  # for one request; CreateRoom takes 3 ms
TOKEN_LIFE = timedelta(hours=2)  # of the right to join; a call may last longer
DUPLICATE_IDENTITY, CLIENT_INITIATED = 2, 1  # livekit.DisconnectReason
ON_BEHALF_ATTRIBUTE = "lk.publish_on_behalf"  # who carries it is not taken for the agent by LiveKit's front ends
UNANSWERED = (aiohttp.ClientError, TimeoutError, OSError, api.TwirpError)
UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, AttributeError)  # what its SDK lets out of its parsers


@asynccontextmanager
async def open_rooms(connections: Connections, limits: CallLimits, *, callers_url: str) -> AsyncIterator[LiveKitRooms]:
    """Rooms of the server at `connections.livekit_url`, over one kept HTTP session; connects when first used.

    Args:
        connections: address, key, secret, and the name that the workers register under.
        limits: how long rooms must outlive an absent caller.
        callers_url: the address that callers are told.
    """
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield LiveKitRooms(http, connections, limits, callers_url=callers_url)


class LiveKitRooms:
    """Rooms (dispatcher/livekit/port.py) over LiveKit's server API; made by `open_rooms`."""

    def __init__(
        self, http: aiohttp.ClientSession, connections: Connections, limits: CallLimits, *, callers_url: str
    ) -> None:
        self._key = connections.livekit_api_key
        self._secret = connections.livekit_api_secret.get_secret_value()
        self._agent_name = connections.agent_name
        self._url = callers_url
        self._empty_seconds = int(limits.join_seconds + ROOM_SLACK_SECONDS)
        self._departure_seconds = int(max(limits.caller_grace, limits.hangup_grace) + ROOM_SLACK_SECONDS)
        server = api.LiveKitAPI(connections.livekit_url, self._key, self._secret, session=http, failover=False)
        self._rooms = server.room
        self._twirp = TwirpClient(http, connections.livekit_url, "livekit", failover=False)
        self._dispatches = server.agent_dispatch
        self._webhooks = api.WebhookReceiver(api.TokenVerifier(self._key, self._secret))

    @property
    def url(self) -> str:
        """The server's address for callers."""
        return self._url

    async def create(self, session: Session, *, with_agent: bool = True) -> None:
        """Make the session's room, with its dispatch or without. Raises LiveKitUnavailable."""
        request = api.CreateRoomRequest(
            name=session.room,
            empty_timeout=self._empty_seconds,
            departure_timeout=self._departure_seconds,
            agents=[self._dispatch(session)] if with_agent else [],
        )
        with _translated():
            await self._rooms.create_room(request)

    async def dispatch(self, session: Session) -> None:
        """Ask for an agent in a room that stands. Raises LiveKitUnavailable."""
        asked = self._dispatch(session)
        request = api.CreateAgentDispatchRequest(
            room=session.room, agent_name=asked.agent_name, metadata=asked.metadata, deployment=asked.deployment
        )
        with _translated():
            await self._dispatches.create_dispatch(request)

    async def find(self, room: str) -> OpenRoom | None:
        """The room of this name. Raises LiveKitUnavailable."""
        with _translated():
            answer = await self._rooms.list_rooms(api.ListRoomsRequest(names=[room]))
        return next((_open_room(each) for each in answer.rooms), None)

    async def set_caller_state(self, room: str, identity: str, state: str) -> None:
        """Show a page how its session stands; one that is gone need not know. Raises LiveKitUnavailable."""
        told = api.UpdateParticipantRequest(room=room, identity=identity, attributes={STATE_ATTRIBUTE: state})
        with _translated(), _gone_is_fine():
            await self._rooms.update_participant(told)

    def token(self, session: Session, *, name: str | None) -> str:
        """The caller's right to join the session's room, for TOKEN_LIFE."""
        return self._access(session.id, session.room, TOKEN_LIFE).with_name(name or "").to_jwt()

    def reserved_token(self, ticket: Ticket, front_end: ParticipantDetails, *, deployment: str) -> str:
        """The caller's right to join, for RESERVED_TOKEN_SECONDS; the join makes the room and its dispatch."""
        configuration = api.RoomConfiguration(
            empty_timeout=self._empty_seconds,
            departure_timeout=self._departure_seconds,
            agents=[self._asked(ticket, deployment)],
        )
        life, session_id = timedelta(seconds=RESERVED_TOKEN_SECONDS), ticket.session_id
        access = self._access(session_id, session_id, life).with_name(front_end.name)
        access = access.with_metadata(front_end.metadata).with_attributes(dict(front_end.attributes))
        return access.with_room_config(configuration).to_jwt()

    async def delete(self, room: str) -> None:
        """Close the room. Raises LiveKitUnavailable."""
        with _translated(), _gone_is_fine():
            await self._rooms.delete_room(api.DeleteRoomRequest(room=room))

    async def remove(self, room: str, identity: str) -> None:
        """Send one participant out. Raises LiveKitUnavailable."""
        with _translated(), _gone_is_fine():
            await self._rooms.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity))

    async def mark_ghost(self, room: str, identity: str) -> None:
        """Let LiveKit's front ends no longer take it for the agent. Raises LiveKitUnavailable."""
        told = api.UpdateParticipantRequest(room=room, identity=identity, attributes={ON_BEHALF_ATTRIBUTE: SUCCESSOR})
        with _translated(), _gone_is_fine():
            await self._rooms.update_participant(told)

    async def mute(self, room: str, identity: str, track_sid: str) -> None:
        """Let nobody hear this track any more. Raises LiveKitUnavailable."""
        asked = api.MuteRoomTrackRequest(room=room, identity=identity, track_sid=track_sid, muted=True)
        with _translated(), _gone_is_fine():
            await self._rooms.mute_published_track(asked)

    async def answers(self, room: str, identity: str, *, timeout: float) -> bool:
        """Whether this agent answers through the room, within so many seconds."""
        asked = PerformRpcRequest(
            room=room, destination_identity=identity, method=ALIVE_METHOD, response_timeout_ms=int(timeout * 1000)
        )
        grants = api.VideoGrants(room_admin=True, room=room)
        token = api.AccessToken(self._key, self._secret).with_grants(grants).to_jwt()
        headers = {"authorization": f"Bearer {token}"}
        try:
            async with asyncio.timeout(timeout):
                await self._twirp.request("RoomService", "PerformRpc", asked, headers, PerformRpcResponse)
        except UNANSWERED:
            return False
        return True

    async def participants(self, room: str) -> Collection[Participant]:
        """Who is in the room. Raises LiveKitUnavailable."""
        if await self.find(room) is None:  # a server that asks the room itself would wait for one that is gone
            return []
        found: list[Participant] = []
        with _translated(), _gone_is_fine():
            answer = await self._rooms.list_participants(api.ListParticipantsRequest(room=room))
            found += [_participant(each) for each in answer.participants]
        return found

    async def open_rooms(self) -> Sequence[OpenRoom]:
        """All rooms of the server. Raises LiveKitUnavailable."""
        with _translated():
            answer = await self._rooms.list_rooms(api.ListRoomsRequest())
        return [_open_room(room) for room in answer.rooms]

    async def asked_for(self, room: str) -> Sequence[str]:
        """The metadata of each dispatch that asks for our agents in this room. Raises LiveKitUnavailable."""
        found: list[str] = []
        with _translated(), _gone_is_fine():
            dispatches = await self._dispatches.list_dispatch(room_name=room)
            found += [str(each.metadata) for each in dispatches if each.agent_name == self._agent_name]
        return found

    async def ping(self, *, timeout: float) -> None:
        """Ask for a room that nobody has. Raises LiveKitUnavailable, also when `timeout` seconds have passed."""
        with _translated():
            async with asyncio.timeout(timeout):
                await self._rooms.list_rooms(api.ListRoomsRequest(names=["greenroom-ping"]))

    def read_webhook(self, body: bytes, authorization: str) -> RoomWebhook:
        """What the webhook says, if `authorization` signs exactly this body. Raises BadSignature, BadRequest."""
        try:
            event = self._webhooks.receive(body.decode(), authorization)
        except ParseError:  # it is parsed after its signature has been checked
            raise BadRequest("The body is signed, but it is not a LiveKit webhook.") from None
        except UNREADABLE:
            raise BadSignature from None
        except Exception as error:
            if type(error) is not Exception:  # the SDK raises a bare Exception where the body's hash is wrong or absent
                raise
            raise BadSignature from None
        known = event.event in set(WebhookKind)
        return RoomWebhook(
            id=event.id,
            kind=WebhookKind(event.event) if known else None,
            room=OpenRoom(event.room.name, event.room.sid),
            participant=_participant(event.participant) if event.participant.identity else None,
            replaced=event.participant.disconnect_reason == DUPLICATE_IDENTITY,
            by_itself=event.participant.disconnect_reason == CLIENT_INITIATED,
        )

    def _dispatch(self, session: Session) -> api.RoomAgentDispatch:
        return self._asked(Ticket(session.id, session.attempt), session.deployment)

    def _asked(self, ticket: Ticket, deployment: str) -> api.RoomAgentDispatch:
        return api.RoomAgentDispatch(agent_name=self._agent_name, metadata=ticket.to_json(), deployment=deployment)

    def _access(self, session_id: str, room: str, life: timedelta) -> api.AccessToken:
        grants = api.VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True, can_publish_data=True)
        access = api.AccessToken(self._key, self._secret).with_ttl(life).with_grants(grants)
        return access.with_identity(caller_identity(session_id))


def _open_room(room: api.Room) -> OpenRoom:
    return OpenRoom(room.name, room.sid, room.num_participants, room.num_publishers, float(room.creation_time))


def _participant(info: api.ParticipantInfo) -> Participant:
    unmuted = tuple(track.sid for track in info.tracks if not track.muted)
    kinds = api.ParticipantInfo.Kind
    kind = kinds.Name(info.kind) if info.kind in kinds.values() else ""  # a newer server may have others
    return Participant(info.identity, kind, info.attributes.get(CALL_STATUS, ""), unmuted)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except UNANSWERED as error:
        raise LiveKitUnavailable from error


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except api.TwirpError as error:
        if error.code != api.TwirpErrorCode.NOT_FOUND:
            raise
