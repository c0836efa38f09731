"""A caller as a front end is one: asks for a session, joins, speaks, hears; cli, bench and tests use it."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc.participant import PublishTrackError

from client.api import Control, StartAnswer
from client.microphone import Microphone, SpeechClip
from client.recording import RoomRecording
from client.transcript import Speaker, Transcript, TranscriptLine
from client.wav import Sound
from runtime.background import Background

# Names that LiveKit's front ends and agents share (livekit.agents.types; importing that would load all of the agents).
TOPIC_TRANSCRIPTION = "lk.transcription"
TOPIC_CHAT = "lk.chat"
ATTRIBUTE_STATE = "lk.agent.state"
ATTRIBUTE_SEGMENT = "lk.segment_id"
ATTRIBUTE_FINAL = "lk.transcription_final"
ATTRIBUTE_TRACK = "lk.transcribed_track_id"

POLL_SECONDS = 0.02  # how often a wait looks; what is measured comes from stamps, not from when a wait ended
Answer = TypeVar("Answer")


class CallError(Exception):
    """The call can't go on."""


class TookTooLong(CallError):
    """Something that was waited for didn't happen in time."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what}: not within {seconds:g} s")
        self.what = what


class NotJoined(CallError):
    """The room can't be joined, or was lost."""


class Caller:
    """One caller in one call. An asynchronous context manager: leaving it leaves the room.

        async with Caller("http://127.0.0.1:8080") as caller:
            await caller.start()
            await caller.join()
            await caller.wait_for_sound(caller.asked_at, timeout=10)
            said = await caller.speak(wav.read(path))
            heard = await caller.wait_for_sound(said.ended, timeout=10)
            print(heard - said.ended)

    All times are `time.monotonic()` in seconds: of sound, when it left the microphone or would have reached the ear
    (client/microphone.py and client/waveform.py say how exactly); of the rest, when this program was told.

    Attributes:
        asked_at: When the session was asked for. `answered_at`, `joined_at`: when the answer came, the room was joined.
        agent_at: When an agent and a published track of its were first seen; None before.
        microphone, ear, transcript: the parts of the call.
        states: The agent's `lk.agent.state` with the times of its changes.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        source: rtc.AudioSource | None = None,
        on_line: Callable[[TranscriptLine], None] | None = None,
        on_track: Callable[[rtc.Track], None] | None = None,
        listens: bool = True,
    ) -> None:
        """`url` is the dispatcher's, `key` an API key for it.

        `source` is published in place of `microphone`, which then can't speak. `on_line` is called with each piece of
        transcript, `on_track` with each track of an agent's sound. A caller that doesn't `listens` keeps no sound, and
        costs less.
        """
        _keep_native_log_quiet()
        self.control = Control(url, key=key)
        self.microphone = Microphone()  # before the start: a front end asks for the microphone first, too
        self.ear = RoomRecording()
        self.transcript = Transcript()
        self._written = 0  # messages
        self.states: list[tuple[str, float]] = []
        self.asked_at = self.answered_at = self.joined_at = 0.0
        self.agent_at: float | None = None
        self.lost: str | None = None
        self.started: StartAnswer | None = None
        self.room = rtc.Room()
        self._left = False
        self._source = source
        self._on_line = on_line
        self._on_track = on_track
        self._listens = listens
        self._microphone_sid = ""
        self._tasks = Background("caller")
        self._handlers()

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def start(
        self,
        *,
        agent: str | None = None,
        config: dict[str, Any] | None = None,
        user_id: str | None = None,
        wait_ms: int | None = 0,
    ) -> StartAnswer:
        """Ask for a session; by default without waiting for the agent, which then walks in while this side joins."""
        await self.control.open()
        self.asked_at = time.monotonic()
        self.started = await self.control.start(agent=agent, config=config, user_id=user_id, wait_ms=wait_ms)
        self.answered_at = time.monotonic()
        return self.started

    async def join(self, url: str | None = None, token: str | None = None) -> None:
        """Join the room of the session, or the one of `url` and `token`, with the microphone. Raises NotJoined."""
        if url is None or token is None:
            started = self._session()
            url, token = started.url, started.token
        self.asked_at = self.asked_at or time.monotonic()
        try:
            # Two connections, one a direction: joining costs this side a third less processor time (0.09 core-seconds).
            await self.room.connect(url, token, rtc.RoomOptions(single_peer_connection=False))
            self.joined_at = time.monotonic()
            track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source or self.microphone.source)
            # dtx: what LiveKit's client for browsers sends by default, too; silence then costs both sides little.
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=True)
            publication = await self.room.local_participant.publish_track(track, options)
        except (rtc.ConnectError, PublishTrackError) as error:
            raise NotJoined(f"the room at {url} can't be joined: {error.message}") from error
        self._microphone_sid = publication.sid
        if self._source is None:
            self.microphone.open()
        for participant in self.room.remote_participants.values():
            self._seen(participant)

    async def speak(self, sound: Sound) -> SpeechClip:
        """Say `sound` in real time; returns when its last sample has left."""
        return await self.microphone.speak(sound)

    async def write(self, text: str) -> None:
        """Send `text` as a chat message to the agent, and show it: the agent does not send it back."""
        self._written += 1
        self._show("user", f"written-{self._written}", text, final=True, at=time.monotonic())
        await self.room.local_participant.send_text(text, topic=TOPIC_CHAT)

    @property
    def state(self) -> str | None:
        """The agent's state now: initializing, listening, thinking, speaking; None before it told."""
        return self.states[-1][0] if self.states else None

    def agents(self) -> list[rtc.RemoteParticipant]:
        """The agents that are in the room now."""
        return [p for p in self.room.remote_participants.values() if is_agent(p)]

    async def wait_for(self, condition: Callable[[], Answer | None], what: str, timeout: float) -> Answer:
        """The first answer of `condition` that is neither None nor False.

        Raises TookTooLong after `timeout` seconds, NotJoined when the room is lost before.
        """
        deadline = time.monotonic() + timeout
        while (answer := condition()) is None or answer is False:
            if self.lost is not None:
                raise NotJoined(f"{what}: the room was lost ({self.lost})")
            if time.monotonic() >= deadline:
                raise TookTooLong(what, timeout)
            await asyncio.sleep(POLL_SECONDS)
        return answer

    async def wait_for_agent(self, timeout: float) -> float:
        """When an agent with its track was first seen."""
        return await self.wait_for(lambda: self.agent_at, "an agent in the room", timeout)

    async def wait_for_sound(self, after: float, timeout: float) -> float:
        """When the agent's first sound from `after` on was heard."""

        def heard() -> float | None:
            newest = self.ear.last_sound  # a cheap look first: the exact one reads the whole recording
            return self.ear.first_sound(after) if newest is not None and newest >= after else None

        return await self.wait_for(heard, "sound from the agent", timeout)

    async def wait_for_quiet(self, quiet: float, timeout: float) -> None:
        """Return when the agent has been silent for `quiet` seconds."""

        def silent() -> bool:
            newest = self.ear.last_sound
            return newest is None or time.monotonic() - newest >= quiet

        await self.wait_for(silent, f"{quiet:g} s of silence from the agent", timeout)

    async def wait_for_silence(self, after: float, *, quiet: float, timeout: float) -> float:
        """When the agent, speaking at `after`, fell silent for at least `quiet` seconds."""
        what = "the agent falling silent"
        return await self.wait_for(lambda: self.ear.silence_onset(after, quiet=quiet), what, timeout)

    async def wait_for_text(self, speaker: Speaker, part: str, timeout: float) -> str:
        """All that `speaker` said, once `part` is in it, whatever the case."""

        def said() -> str | None:
            text = self.transcript.said(speaker)
            return text if part.casefold() in text.casefold() else None

        return await self.wait_for(said, f"“{part}” from the {speaker}", timeout)

    async def wait_for_state(self, state: str, timeout: float) -> None:
        """Return when the agent says it is in `state`."""
        await self.wait_for(lambda: self.state == state, f"the agent's state {state}", timeout)

    async def stop(self) -> None:
        """End the session."""
        await self.control.stop(self._session().session)

    async def leave(self) -> None:
        """Leave the room and close everything; the session isn't stopped. May be called twice."""
        if self._left:
            return
        self._left = True
        await self.microphone.close()
        await self.ear.close()
        await self._tasks.close()
        await self.room.disconnect()
        await self.control.close()

    def _session(self) -> StartAnswer:
        if self.started is None:
            raise CallError("no session was started")
        return self.started

    def _handlers(self) -> None:
        """Listen to everything the room tells, before it is joined, so that nothing is missed."""

        def on_track(track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
            self._seen(who)
            if is_agent(who) and track.kind == rtc.TrackKind.KIND_AUDIO:
                if self._listens:
                    self.ear.listen(track)
                if self._on_track is not None:
                    self._on_track(track)

        def on_disconnected(reason: Any) -> None:
            self.lost = rtc.DisconnectReason.Name(reason)

        def on_text(reader: rtc.TextStreamReader, sender: str) -> None:
            self._tasks.start(self._read(reader, sender), "transcript")

        self.room.on("participant_connected", self._seen)
        self.room.on("track_published", lambda publication, who: self._seen(who))
        self.room.on("track_subscribed", on_track)
        self.room.on("participant_attributes_changed", lambda changed, who: self._seen(who))
        self.room.on("disconnected", on_disconnected)
        self.room.register_text_stream_handler(TOPIC_TRANSCRIPTION, on_text)

    def _seen(self, who: rtc.RemoteParticipant | rtc.Participant) -> None:
        """Take note of what there is to know of a participant now."""
        if not isinstance(who, rtc.RemoteParticipant) or not is_agent(who):
            return
        now = time.monotonic()
        if self.agent_at is None and who.track_publications:
            self.agent_at = now
        state = who.attributes.get(ATTRIBUTE_STATE)
        if state and state != self.state:
            self.states.append((state, now))

    async def _read(self, reader: rtc.TextStreamReader, sender: str) -> None:
        """Follow one stream of transcript to its end."""
        at = time.monotonic()
        text = ""
        try:
            async for piece in reader:
                text += piece
                self._say(reader, sender, text, at)
        except rtc.StreamError:
            return  # the agent was lost, or interrupted itself: what came until then stands
        finally:
            reader.close()
        self._say(reader, sender, text, at)

    def _say(self, reader: rtc.TextStreamReader, sender: str, text: str, at: float) -> None:
        attributes = reader.info.attributes or {}
        speaker = self._speaker(sender, attributes.get(ATTRIBUTE_TRACK))
        segment = attributes.get(ATTRIBUTE_SEGMENT) or reader.info.stream_id
        self._show(speaker, segment, text, final=attributes.get(ATTRIBUTE_FINAL) == "true", at=at)

    def _show(self, speaker: Speaker, segment: str, text: str, *, final: bool, at: float) -> None:
        line = self.transcript.update(speaker, segment, text, final=final, at=at)
        if self._on_line is not None:
            self._on_line(line)

    def _speaker(self, sender: str, track: str | None) -> Speaker:
        """Whose words a stream carries: the agent sends both sides, its own and what it heard on the caller's track."""
        mine = track == self._microphone_sid if track else sender == self.room.local_participant.identity
        return "user" if mine else "agent"


def is_agent(who: rtc.Participant) -> bool:
    """Whether a participant is an agent, by its kind or by the identity that ours join with."""
    return bool(who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT) or who.identity.startswith("agent-")


@functools.cache
def _keep_native_log_quiet() -> None:
    """Start LiveKit's native library with its log off, as worker/process/native.py does; RUST_LOG turns it on."""
    os.environ.setdefault("RUST_LOG", "off")  # at each room's end it writes errors that are none
    library = _ffi_client.FfiClient.instance._ffi_lib
    library.livekit_ffi_initialize(_ffi_client.ffi_event_callback, False, b"python", rtc.__version__.encode())
