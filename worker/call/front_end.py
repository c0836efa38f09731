"""What a page sees of the agent: LiveKit's agent state and transcriptions; call.py and listener.py send them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from livekit import rtc
from livekit.agents.types import (
    ATTRIBUTE_AGENT_STATE,
    ATTRIBUTE_PUBLISH_ON_BEHALF,
    ATTRIBUTE_TRANSCRIPTION_FINAL,
    ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID,
    ATTRIBUTE_TRANSCRIPTION_TRACK_ID,
    TOPIC_TRANSCRIPTION,
)

from session.fence import SUCCESSOR
from session.timing import GIVE_WAY_SECONDS, LAST_WORDS_SECONDS, SUCCESSOR_SHOWN_SECONDS
from worker.call.send_queue import SendQueue

NOTHING = " "  # pages take a stream without a character for none, and would go on showing what nobody heard


class FrontEnd:
    """Sends, in order and without ever holding up the call, what stock LiveKit front ends show.

    Words and states have a queue each: a state waits for the server's reply, and must not hold up the words.

    Args:
        room: the call's.
        remembered: awaited before the caller's final words are shown; must bound its own time, and not raise.
    """

    def __init__(self, room: rtc.Room, remembered: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._room, self._remembered = room, remembered
        self._state = ""
        self._agent_track = ""
        self._caller: tuple[str, str] | None = None
        self._agent_segment = _segment()
        self._agent_text = ""
        self._user_segment = _segment()
        self._words = SendQueue("words")
        self._states = SendQueue("states")
        room.on("local_track_republished", self._republished)

    def agent_track(self, sid: str) -> None:
        """The agent speaks on this track."""
        self._agent_track = sid

    def _republished(self, publication: rtc.LocalTrackPublication, _: str) -> None:
        """After its connection was renewed the agent's track goes by another name."""
        self.agent_track(publication.sid)

    def caller(self, identity: str, track_sid: str) -> None:
        """The caller speaks on this track."""
        self._caller = (identity, track_sid)

    def state(self, state: str) -> None:
        """Show what the agent does: initializing, listening, thinking or speaking."""
        if state != self._state:
            self._state = state
            self._states.send(self._room.local_participant.set_attributes({ATTRIBUTE_AGENT_STATE: state}))

    def agent_sentence(self, text: str) -> None:
        """Show a sentence as the agent begins to say it; the sentences of a turn share a segment that grows."""
        identity = self._room.local_participant.identity
        self._agent_text = f"{self._agent_text} {text}".strip()
        self._words.send(self._text(self._agent_text, self._agent_segment, identity, self._agent_track, final=False))

    def agent_said(self, text: str) -> None:
        """Show what was heard of a whole turn in place of its sentences."""
        if text or self._agent_text:
            identity = self._room.local_participant.identity
            self._words.send(self._text(text, self._agent_segment, identity, self._agent_track, final=True))
        self._agent_segment, self._agent_text = _segment(), ""

    def user_words(self, text: str, *, final: bool) -> None:
        """Show the caller's words."""
        if self._caller is None:
            return
        identity, track = self._caller
        if final:
            self._words.send(self._remembered())
        self._words.send(self._text(text, self._user_segment, identity, track, final=final))
        if final:
            self._user_segment = _segment()

    def notice(self, text: str) -> None:
        """Show a line of the agent's that is not spoken."""
        identity = self._room.local_participant.identity
        self._words.send(self._text(text, _segment(), identity, self._agent_track, final=True))

    async def give_way(self) -> None:
        """Show that another agent will follow, before this one leaves; returns after GIVE_WAY_SECONDS at the latest."""
        if self._room.connection_state != rtc.ConnectionState.CONN_CONNECTED:
            return
        seen = asyncio.Event()
        self._states.send(self._show_successor(seen))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_WAY_SECONDS):
                await seen.wait()

    async def close(self) -> None:
        """Send what was said, but no state any more."""
        await self._states.close(0.0)
        await self._words.close(LAST_WORDS_SECONDS)

    async def _show_successor(self, seen: asyncio.Event) -> None:
        await self._room.local_participant.set_attributes({ATTRIBUTE_PUBLISH_ON_BEHALF: SUCCESSOR})
        await asyncio.sleep(SUCCESSOR_SHOWN_SECONDS)
        seen.set()

    async def _text(self, text: str, segment: str, identity: str, track: str, *, final: bool) -> None:
        attributes = {
            ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID: segment,
            ATTRIBUTE_TRANSCRIPTION_FINAL: "true" if final else "false",
            ATTRIBUTE_TRANSCRIPTION_TRACK_ID: track,
        }
        writer = await self._room.local_participant.stream_text(
            topic=TOPIC_TRANSCRIPTION, attributes=attributes, stream_id=segment, sender_identity=identity
        )
        await writer.write(text or NOTHING)
        await writer.aclose()


def _segment() -> str:
    return f"SG_{secrets.token_hex(6)}"
