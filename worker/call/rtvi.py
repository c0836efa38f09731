"""What a page of Pipecat's client is told over RTVI, once it has asked; call.py and listener.py feed it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from livekit import rtc

from pipeline.talk.turn_observer import Activity
from session.record import Session
from session.timing import LAST_WORDS_SECONDS
from worker.call.rtvi_messages import (
    Message,
    Sentences,
    bot_ready,
    complaint,
    error_response,
    event,
    takes_user_input,
    user_input,
    user_transcription,
)
from worker.call.send_queue import SendQueue

SEGMENTS = 1_000_000  # sentences of one agent have numbers below this; the next agent's begin above


class Rtvi:
    """Tells the caller's page, in order and without holding up the call; costs nothing before the page asks.

    Args:
        room: the call's.
        session: as claimed: it may say that the page asked an earlier agent, or at the start.
        asked: called with the version that the page speaks, when that is news.
        remembered: awaited before the caller's final words are shown; must bound its own time, and not raise.
        now: the time of day.
    """

    def __init__(
        self,
        room: rtc.Room,
        session: Session,
        asked: Callable[[str], None],
        remembered: Callable[[], Coroutine[Any, Any, object]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._room, self._asked, self._remembered, self._now = room, asked, remembered, now
        self._version, self._request = session.rtvi, ""
        self._caller = ""
        self._ready = False
        self._over = ""  # why the call ends, if it does
        self._sentences = Sentences(session.attempt * SEGMENTS)
        self._speaking = False
        self._held: list[Message] = []  # of sentences, until the agent's voice is heard: pages expect that order
        self._queue: SendQueue | None = None

    def caller(self, identity: str) -> None:
        """The caller, whose page is told."""
        self._caller = identity

    def client_ready(self, request: str, version: str) -> None:
        """The page speaks RTVI in this version, and wants to know when the agent is ready."""
        if version != self._version:
            self._version = version
            self._asked(version)
        self._request = request
        if self._over:
            self._send(event("error", error=self._over, fatal=True))
        else:
            self._say_ready()

    def begin(self) -> None:
        """The agent is ready: a page that asked this agent, or the one before it, is told so."""
        self._ready = True
        if self._version:
            self._say_ready()

    def refuse(self, request: str, why: str) -> None:
        """This request is not carried out."""
        self._send(error_response(request, why))

    def error(self, what: str, *, fatal: bool) -> None:
        """Something went wrong; `fatal`: the call ends, and a page that asks only then hears that instead."""
        if fatal:
            self._over = what
        self._send(event("error", error=what, fatal=fatal))

    def typed(self, request: str, text: str) -> None:
        """The page's typed words were taken."""
        if self._version and takes_user_input(self._version):
            self._send(user_input(text, "chat", self._caller, self._now(), msg_id=request))

    def activity(self, what: Activity) -> None:
        """Somebody starts or stops something."""
        self._send(event(what.value))
        if what is Activity.AGENT_STARTED:
            self._speaking = True
            self._release()
        elif what is Activity.AGENT_STOPPED:
            self._speaking = False

    def user_words(self, text: str, *, final: bool) -> None:
        """The caller's spoken words as they are understood."""
        if not self._version:
            return
        if final:
            self._put(self._remembered())
        at = self._now()
        self._send(user_transcription(text, self._caller, at, final=final))
        if takes_user_input(self._version):
            self._send(user_input(text, "transcription", self._caller, at, final=final))

    def user_said(self, text: str) -> None:
        """A turn of the caller, as the LLM gets it."""
        self._send(event("user-llm-text", text=text))

    def agent_sentence(self, text: str) -> None:
        """The agent begins a sentence."""
        self._held += self._sentences.begins(text)
        if self._speaking:
            self._release()

    def agent_said(self, text: str, *, interrupted: bool) -> None:
        """The agent's turn is over, and this is what was heard of it."""
        self._held += self._sentences.ends(text, interrupted=interrupted)
        self._release()

    async def close(self) -> None:
        """Send what there is, for LAST_WORDS_SECONDS at most, and nothing more."""
        self._version = ""
        if self._queue is not None:
            await self._queue.close(LAST_WORDS_SECONDS)

    def _release(self) -> None:
        held, self._held = self._held, []
        self._send(*held)

    def _say_ready(self) -> None:
        if self._request and (why := complaint(self._version)):
            self._send(error_response(self._request, why))
        self._send(bot_ready(self._request, self._version))

    def _send(self, *messages: Message) -> None:
        if self._version and self._caller and (self._ready or self._over):
            for message in messages:
                self._put(self._publish(json.dumps(message)))

    def _put(self, what: Coroutine[Any, Any, object]) -> None:
        if self._queue is None:
            self._queue = SendQueue("rtvi")
        self._queue.send(what)

    async def _publish(self, text: str) -> None:
        participant = self._room.local_participant
        await participant.publish_data(text, reliable=True, destination_identities=[self._caller])
