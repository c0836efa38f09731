"""Follows who is in the room, and lets the agent hear the one caller and nobody else; call.py makes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Protocol

from livekit import rtc
from livekit.agents.types import TOPIC_CHAT
from livekit.protocol.models import AudioTrackFeature

from pipeline.talk.audio_ends import IN_RATE
from runtime.background import Background
from session.caller import CALL_STATUS, PHONE, is_caller
from session.fence import caller_identity
from session.record import EndReason, Session
from session.timing import ROOM_NEWS_SECONDS
from worker.call.audio import CallerTrack
from worker.call.heard_track import heard
from worker.call.intake import MAX_TEXT_BYTES, READ_SECONDS, Intake, limit_streams, read_text, too_long
from worker.call.keypad import Keypad
from worker.call.pre_connect import MAX_BYTES, TOPIC, WAIT_SECONDS, decode

logger = logging.getLogger(__name__)

LEFT_BY_ITSELF = (rtc.DisconnectReason.CLIENT_INITIATED,)
ASK_AGAIN_SECONDS = 0.5  # between two requests for the caller's sound; it comes within some 20 ms
MAX_TYPED = 4000  # characters of one typed message; more is cut off


class CallerEvents(Protocol):
    """What happens to the caller."""

    def caller_came(self, identity: str, sid: str) -> None:
        """It joined; a second join replaces the first."""

    def caller_went(self, sid: str, *, by_itself: bool, for_good: bool) -> None:
        """One of its joins ended; `for_good`: it cannot come back."""

    def nobody_answered(self) -> None:
        """A phone that was to become the caller stopped ringing."""

    def caller_speaks_on(self, identity: str, track_sid: str) -> None:
        """Its microphone is this track."""

    def caller_refused(self) -> None:
        """It sends more, or longer, messages than are taken."""


class Answers(Protocol):
    """Who answers typed words."""

    async def answer(self, text: str) -> None:
        """Answer them."""


class RoomEvents:
    """Watches the room from before it is connected; replays what it saw once the pipeline can hear.

    Args:
        room: the job's own, not connected yet, so that no event is missed.
        session: whose caller is looked for.
        events: told of the caller.
    """

    def __init__(self, room: rtc.Room, session: Session, events: CallerEvents) -> None:
        self._room = room
        self._session = session
        self._identity = None if session.adopted else caller_identity(session.id)
        self._events = events
        self._caller_track: CallerTrack | None = None
        self._typed: Answers | None = None
        self._track: rtc.Track | None = None
        self._asked_for: set[str] = set()
        self._sid: str | None = None
        self._disconnected: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._early: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._early_begun = False
        self._keypad = Keypad()
        self._pausing: asyncio.Task[None] | None = None
        self._intake = Intake(session.id, time.monotonic())
        self._tasks = Background(session.id)
        limit_streams(room)
        self.present = asyncio.Event()
        room.on("participant_connected", self._joined)
        room.on("participant_attributes_changed", lambda _, participant: self._answered(participant))
        room.on("participant_disconnected", self._left)
        room.on("track_published", self._published)
        for event in ("track_unpublished", "track_muted", "track_unmuted", "track_subscribed"):
            room.on(event, lambda *_: self._choose_track())
        room.on("sip_dtmf_received", self._key_pressed)
        room.on("reconnected", self._reconnected)
        room.on("disconnected", self._closed)
        room.register_text_stream_handler(TOPIC_CHAT, self._chat)
        room.register_byte_stream_handler(TOPIC, self._pre_connect)

    def arrive(self, caller_track: CallerTrack, typed: Answers) -> None:
        """The room is connected and the pipeline listens: take up those who are here already."""
        self._caller_track, self._typed = caller_track, typed
        for participant in self._room.remote_participants.values():
            if not self.present.is_set():
                self._joined(participant)
        if self._track is not None:
            caller_track.listen(self._track)

    async def early_words(self) -> bytes:
        """What the caller said before the agent was there, where its track says that there is something."""
        participant = self._room.remote_participants.get(self._identity or "")
        tracks = participant.track_publications.values() if participant is not None else ()
        features = {int(feature) for track in tracks for feature in track.audio_features}
        if int(AudioTrackFeature.TF_PRECONNECT_BUFFER) not in features:
            return b""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self._early), WAIT_SECONDS)
        return b""

    async def room_closed(self) -> EndReason | None:
        """Why the room itself is over, None if it is not: then the call is to be carried on by another agent."""
        with contextlib.suppress(TimeoutError):
            match await asyncio.wait_for(asyncio.shield(self._disconnected), ROOM_NEWS_SECONDS):
                case rtc.DisconnectReason.ROOM_DELETED:
                    return EndReason.STOPPED
                case rtc.DisconnectReason.ROOM_CLOSED:  # nobody but agents was there for as long as the room allows
                    return EndReason.CALLER_LEFT if self.present.is_set() else EndReason.NOT_JOINED
        return None

    def close(self) -> None:
        """Hear nobody any more."""
        if self._caller_track is not None:
            self._caller_track.stop()
        self._intake.close()
        self._tasks.cancel()

    def is_caller(self, participant: rtc.Participant) -> bool:
        """Whether this is the session's caller."""
        if not is_caller(self._session, participant.identity, _kind(participant), _call_status(participant)):
            return False
        if self._identity is None:  # in a room that somebody else made the first one stays the caller
            self._identity = participant.identity
        return participant.identity == self._identity

    def _joined(self, participant: rtc.RemoteParticipant) -> None:
        if self.is_caller(participant):
            self._sid = participant.sid
            self._events.caller_came(participant.identity, participant.sid)
            self.present.set()
            for publication in participant.track_publications.values():
                self._published(publication, participant)

    def _answered(self, participant: rtc.Participant) -> None:
        """A phone's call status may have changed: once it is answered, it is the caller."""
        here = self._room.remote_participants.get(participant.identity)
        if here is not None and here.sid != self._sid:
            self._joined(here)

    def _left(self, participant: rtc.RemoteParticipant) -> None:
        if self._room.connection_state == rtc.ConnectionState.CONN_RECONNECTING:
            return  # it is we who are away; to the SDK everybody has left then
        phone = _kind(participant) == PHONE
        if phone and not self.present.is_set():
            self._events.nobody_answered()
        elif participant.identity == self._identity:
            by_itself = participant.disconnect_reason in LEFT_BY_ITSELF
            self._events.caller_went(participant.sid, by_itself=by_itself, for_good=phone)

    def _reconnected(self) -> None:
        """We are back: see who is there, since nobody told us who came and went meanwhile."""
        caller = self._room.remote_participants.get(self._identity or "")
        if caller is not None and caller.sid != self._sid:
            self._joined(caller)
        elif caller is None and self._sid is not None:
            self._events.caller_went(self._sid, by_itself=False, for_good=False)

    def _published(self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        if self.is_caller(participant):
            self._choose_track()

    def _choose_track(self) -> None:
        """The caller's tracks have changed, or one was muted, or has come: hear the right one."""
        caller = self._room.remote_participants.get(self._identity or "")
        publication = heard(caller.track_publications.values()) if caller is not None else None
        if caller is None or publication is None:
            self._track = None
            if self._caller_track is not None:
                self._caller_track.stop()
        elif publication.track is None:
            self._ask_for_track(publication, caller)
        elif publication.track is not self._track:
            self._track = publication.track
            self._events.caller_speaks_on(caller.identity, publication.sid)
            if self._caller_track is not None:
                self._caller_track.listen(publication.track)

    def _ask_for_track(self, publication: rtc.RemoteTrackPublication, caller: rtc.RemoteParticipant) -> None:
        if publication.sid not in self._asked_for:
            self._asked_for.add(publication.sid)
            publication.set_subscribed(True)
            self._tasks.start(self._ask_again_for_track(publication, caller), "ask for the track")

    async def _ask_again_for_track(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        """Ask for the track until it comes: what is asked for while a connection is being renewed can be lost."""
        await asyncio.sleep(ASK_AGAIN_SECONDS)
        while publication.track is None and self._stands(publication, participant):
            publication.set_subscribed(True)
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        self._asked_for.discard(publication.sid)

    def _stands(self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> bool:
        here = self._room.remote_participants.get(participant.identity) is participant
        return here and participant.track_publications.get(publication.sid) is publication

    def _closed(self, reason: int) -> None:
        if not self._disconnected.done():
            self._disconnected.set_result(reason)

    def _chat(self, reader: rtc.TextStreamReader, identity: str) -> None:
        """Take a typed message; what isn't taken is closed at once, or the SDK would keep all that still comes."""
        if identity != self._identity:
            reader.close()
            return
        now = time.monotonic()
        if too_long(reader.info, MAX_TEXT_BYTES):
            self._intake.drop(now)
        elif self._intake.admits(now):
            self._tasks.start(self._read_chat(reader), "chat")
            return
        reader.close()
        self._events.caller_refused()

    async def _read_chat(self, reader: rtc.TextStreamReader) -> None:
        with self._intake:
            text = (await read_text(reader)).strip()[:MAX_TYPED]
            if text and self._typed is not None:
                await self._typed.answer(text)

    def _key_pressed(self, key: rtc.SipDTMF) -> None:
        if key.participant is not None and key.participant.identity == self._identity:
            self.press(key.digit)

    def press(self, key: str) -> None:
        """Take a key of the caller's keypad; what they make together is answered like typed words."""
        if entered := self._keypad.press(key, time.monotonic()):
            self.enter(entered)
        elif self._keypad.deadline is not None and (self._pausing is None or self._pausing.done()):
            self._pausing = self._tasks.start(self._wait_for_keys(), "keypad")

    async def _wait_for_keys(self) -> None:
        while (deadline := self._keypad.deadline) is not None:
            await asyncio.sleep(max(0.0, deadline - time.monotonic()))
            if entered := self._keypad.paused(time.monotonic()):
                self.enter(entered)

    def enter(self, words: str) -> bool:
        """Answer what the caller has entered, within the bounds of what it types; whether it is answered."""
        words = words.strip()[:MAX_TYPED]
        if not words or self._typed is None:
            return False
        if not self._intake.admits(time.monotonic()):
            self._events.caller_refused()
            return False
        self._tasks.start(self._answer(self._typed, words), "entered")
        return True

    async def _answer(self, typed: Answers, words: str) -> None:
        with self._intake:
            await typed.answer(words)

    def _pre_connect(self, reader: rtc.ByteStreamReader, identity: str) -> None:
        """Take the first one; a second, or one that is too long, is closed at once."""
        if self._early_begun or self._identity not in (None, identity) or too_long(reader.info, MAX_BYTES):
            reader.close()
            return
        self._early_begun = True
        self._tasks.start(self._read_early(reader), "pre-connect audio")

    async def _read_early(self, reader: rtc.ByteStreamReader) -> None:
        pcm = b""
        with contextlib.suppress(TimeoutError, rtc.StreamError):  # a caller may break off, or never end
            async with asyncio.timeout(READ_SECONDS):
                pcm = await decode(reader, IN_RATE)
        if not self._early.done():
            self._early.set_result(pcm)


def _kind(participant: rtc.Participant) -> str:
    """The name of its kind; empty for one that this SDK does not know."""
    known = participant.kind in rtc.ParticipantKind.values()
    return rtc.ParticipantKind.Name(participant.kind).removeprefix("PARTICIPANT_KIND_") if known else ""


def _call_status(participant: rtc.Participant) -> str:
    return participant.attributes.get(CALL_STATUS, "")
