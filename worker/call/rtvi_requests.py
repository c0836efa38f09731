"""Carries out what a page asks for over RTVI, within bounds; call.py makes it."""

from __future__ import annotations

import time
from typing import Protocol

from livekit import rtc

from worker.call.intake import MAX_TEXT_BYTES, Intake
from worker.call.keypad import MOST_KEYS
from worker.call.rtvi import Rtvi
from worker.call.rtvi_messages import MARK, Request, read, version_of


class Caller(Protocol):
    """Who is the caller, and what it enters."""

    def is_caller(self, participant: rtc.Participant) -> bool:
        """Whether this is the caller."""

    def enter(self, words: str) -> bool:
        """Answer these words, if they are not too many; whether they are answered."""

    def press(self, key: str) -> None:
        """Take a key."""


class Events(Protocol):
    """What comes of it for the call."""

    def caller_hangs_up(self) -> None:
        """The page sends the agent away."""

    def caller_refused(self) -> None:
        """The page sends more than is taken."""


class RtviRequests:
    """Listens to the room for the caller's requests.

    Args:
        room: the call's, not connected yet.
        session_id: for the log.
        page: is answered.
        caller: who may ask, and takes what is entered.
        events: told when the page sends the agent away, or sends too much.
    """

    def __init__(self, room: rtc.Room, session_id: str, page: Rtvi, caller: Caller, events: Events) -> None:
        self._page, self._caller, self._events = page, caller, events
        self._intake = Intake(session_id, time.monotonic())
        room.on("data_received", self._received)

    def close(self) -> None:
        """Log what was dropped since the last line."""
        self._intake.close()

    def _received(self, packet: rtc.DataPacket) -> None:
        """Take a packet of the caller's; one that is not of RTVI costs no more than a look at its bytes."""
        if packet.topic or packet.participant is None or MARK not in packet.data:
            return
        if not self._caller.is_caller(packet.participant):
            return
        now = time.monotonic()
        if len(packet.data) > MAX_TEXT_BYTES:
            self._intake.drop(now)
        elif self._intake.admits(now):
            with self._intake:
                request = read(packet.data)
                if request is not None:
                    self._page.caller(packet.participant.identity)
                    self._carry_out(request)
            return
        self._events.caller_refused()

    def _carry_out(self, request: Request) -> None:
        match request.type:
            case "client-ready":
                self._page.client_ready(request.id, version_of(request))
            case "send-text":
                self._take_text(request)
            case "dtmf":
                self._take_keys(request)
            case "disconnect-bot":
                self._events.caller_hangs_up()
            case _:
                self._page.refuse(request.id, f"Unsupported type {request.type}")

    def _take_text(self, request: Request) -> None:
        text, options = request.data.get("content"), request.data.get("options")
        if not isinstance(text, str) or not text.strip():
            self._page.refuse(request.id, "Invalid message: content is no text")
        elif isinstance(options, dict) and options.get("run_immediately") is False:
            self._page.refuse(request.id, "Unsupported option run_immediately: false; every text is answered at once")
        elif self._caller.enter(text):
            self._page.typed(request.id, text)
        else:
            self._page.refuse(request.id, "Not taken: too many texts, or the agent is not ready")

    def _take_keys(self, request: Request) -> None:
        keys = request.data.get("buttons")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            self._page.refuse(request.id, "Invalid message: buttons are no list of keys")
            return
        for key in keys[:MOST_KEYS]:
            self._caller.press(key)
