"""A LiveKit room as the worker sees it, with people that come, speak, write and go as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc
from livekit.rtc._proto import stats_pb2 as proto_stats

MICROPHONE = rtc.TrackKind.KIND_AUDIO


class Publication:
    """Somebody's track, as it is announced."""

    def __init__(
        self,
        sid: str = "TR_1",
        kind: int = MICROPHONE,
        features: tuple[int, ...] = (),
        source: int = rtc.TrackSource.SOURCE_MICROPHONE,
    ) -> None:
        self.sid, self.kind, self.audio_features, self.source = sid, kind, features, source
        self.subscribed = self.muted = False
        self.asked = 0
        self.track: object | None = None

    def set_subscribed(self, subscribed: bool) -> None:
        self.subscribed = subscribed
        self.asked += 1


class Participant:
    """Somebody in the room."""

    def __init__(
        self, identity: str, sid: str = "PA_1", kind: int = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
    ) -> None:
        self.identity, self.sid, self.kind = identity, sid, kind
        self.disconnect_reason: int | None = None
        self.track_publications: dict[str, Publication] = {}
        self.attributes: dict[str, str] = {}


@dataclass
class Text:
    """A text that was streamed to the room."""

    topic: str
    attributes: dict[str, str]
    sender: str
    stream_id: str
    text: str = ""
    closed: bool = False

    async def write(self, text: str) -> None:
        self.text += text

    async def aclose(self) -> None:
        self.closed = True


class OwnPublication:
    """The agent's own track; it counts as subscribed once `heard` is set."""

    def __init__(self) -> None:
        self.sid = "TR_agent"
        self.heard = asyncio.Event()

    async def wait_for_subscription(self) -> None:
        await self.heard.wait()


@dataclass
class LocalParticipant:
    """The agent in the room. `fails` is raised instead of sending anything, as often as it is in the list."""

    identity: str = "agent-session_a-1"
    states: list[str] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    tracks: list[rtc.LocalAudioTrack] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    methods: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    packets: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publication = OwnPublication()
        self.confirmed = asyncio.Event()  # the server's reply to a change of attributes
        self.confirmed.set()

    def register_rpc_method(self, name: str, method: Callable[[Any], Any]) -> None:
        self.methods[name] = method

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        if self.fails:
            raise self.fails.pop()
        await self.confirmed.wait()
        self.states.extend(attributes.values())

    async def stream_text(
        self, *, topic: str, attributes: dict[str, str], stream_id: str, sender_identity: str
    ) -> Text:
        text = Text(topic, attributes, sender_identity, stream_id)
        self.texts.append(text)
        return text

    async def publish_data(self, payload: str, *, reliable: bool, destination_identities: list[str]) -> None:
        assert reliable
        self.packets.extend((who, payload) for who in destination_identities)

    def packets_to(self, identity: str) -> list[dict[str, Any]]:
        """What somebody was sent, read as JSON."""
        return [json.loads(payload) for who, payload in self.packets if who == identity]

    async def publish_track(self, track: rtc.LocalAudioTrack, options: Any) -> OwnPublication:
        if self.fails:
            raise self.fails.pop()
        self.tracks.append(track)
        return self.publication


class FakeRoom:
    """rtc.Room without a server."""

    def __init__(self) -> None:
        self.local_participant = LocalParticipant()
        self.remote_participants: dict[str, Participant] = {}
        self.handlers: dict[str, list[Callable[..., None]]] = {}
        self.streams: dict[str, Callable[[Any, str], None]] = {}
        self.left = False
        self.answers = 0  # of the server; one more at each look while the network is there
        self.cut = False
        self.connection_state = rtc.ConnectionState.CONN_CONNECTED

    async def disconnect(self) -> None:
        self.left = True

    async def get_rtc_stats(self) -> rtc.RtcStats:
        self.answers += 0 if self.cut else 1
        stats = proto_stats.RtcStats()
        stats.candidate_pair.candidate_pair.responses_received = self.answers
        return rtc.RtcStats(publisher_stats=[stats], subscriber_stats=[proto_stats.RtcStats()])

    async def connect(self, url: str, token: str, options: Any = None) -> None:
        """The fake context connects it otherwise."""
        raise NotImplementedError

    def on(self, event: str, handler: Callable[..., None]) -> None:
        self.handlers.setdefault(event, []).append(handler)

    def register_text_stream_handler(self, topic: str, handler: Callable[[Any, str], None]) -> None:
        self.streams[topic] = handler

    register_byte_stream_handler = register_text_stream_handler

    def tell(self, event: str, *facts: Any) -> None:
        for handler in self.handlers.get(event, []):
            handler(*facts)

    def join(self, participant: Participant) -> None:
        self.remote_participants[participant.identity] = participant
        self.tell("participant_connected", participant)

    def leave(self, participant: Participant, reason: int) -> None:
        self.remote_participants.pop(participant.identity, None)
        participant.disconnect_reason = reason
        self.tell("participant_disconnected", participant)

    def lose_connection(self) -> None:
        """As the SDK tells it: at first everybody seems to have gone."""
        self.connection_state = rtc.ConnectionState.CONN_RECONNECTING
        for participant in list(self.remote_participants.values()):
            self.leave(participant, rtc.DisconnectReason.UNKNOWN_REASON)

    def regain_connection(self, *there: Participant) -> None:
        """The connection is renewed; `there` are those who had it before us."""
        self.remote_participants.update((each.identity, each) for each in there)
        self.connection_state = rtc.ConnectionState.CONN_CONNECTED
        self.tell("reconnected")


@dataclass
class Info:
    """What a stream says of itself; `size` in bytes, 0 when it doesn't say."""

    mime_type: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    size: int = 0


class Letter:
    """A text stream from somebody, in chunks."""

    def __init__(self, *chunks: str, size: int = 0) -> None:
        self.chunks, self.info = chunks, Info(size=size)
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[str]:
        for chunk in self.chunks:
            self.taken += 1
            yield chunk

    def close(self) -> None:
        self.closed = True


class Bytes:
    """A byte stream from somebody, in chunks; `declared` is the size in bytes that its sender claims."""

    def __init__(self, data: bytes, mime: str, *, size: int = 1000, declared: int = 0, **attributes: str) -> None:
        self.info = Info(mime, attributes, declared)
        self.data, self.size = data, size
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), self.size):
            self.taken += 1
            yield self.data[start : start + self.size]

    def close(self) -> None:
        self.closed = True
