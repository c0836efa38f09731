"""Messages of RTVI, the protocol of Pipecat's pages: reads theirs and makes ours, without I/O; rtvi.py sends them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LABEL = "rtvi-ai"
MARK = b'"rtvi-ai"'  # is in every message: other packets of a page are told from them without being read
PROTOCOL = "2.2.0"  # that we speak; a page of version 1 is answered in its own, whose messages ours contain
LEGACY = 1  # the major version before, whose pages are still served
USER_INPUT_SINCE = (2, 2)  # from this version on pages take `user-input`
UNKNOWN = "0.0.0"  # of a page that does not say which version it speaks
VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")
MAX_ID = 64  # characters of a message's id or type that are given back; Pipecat's ids have 8

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What a page asks for."""

    id: str
    type: str
    data: Mapping[str, Any]


def read(packet: bytes) -> Request | None:
    """The request in a packet of a page; None where it is none of RTVI."""
    try:
        message = json.loads(packet)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("label") != LABEL:
        return None
    kind, id_, data = message.get("type"), message.get("id"), message.get("data")
    if not isinstance(kind, str):
        return None
    return Request(
        id=id_[:MAX_ID] if isinstance(id_, str) else "",
        type=kind[:MAX_ID],
        data=data if isinstance(data, dict) else {},
    )


def version_of(request: Request) -> str:
    """The version that a page says it speaks; UNKNOWN where it says none."""
    version = request.data.get("version")
    return version if isinstance(version, str) and VERSION.fullmatch(version) else UNKNOWN


def complaint(version: str) -> str:
    """What is to be said of a page's version; nothing if it is served."""
    if _parts(version)[0] in (LEGACY, _parts(PROTOCOL)[0]):
        return ""
    return f"This agent speaks RTVI {PROTOCOL}; your version is unknown or another. Compatibility issues may occur."


def takes_user_input(version: str) -> bool:
    """Whether pages of this version know `user-input`."""
    return _parts(version)[:2] >= USER_INPUT_SINCE


def bot_ready(request_id: str, version: str) -> Message:
    """The agent is there, for a page of this version."""
    ours = version if _parts(version)[0] == LEGACY else PROTOCOL
    return {**event("bot-ready", version=ours, about={"library": "greenroom"}), "id": request_id}


def error_response(request_id: str, why: str) -> Message:
    """This request is not carried out."""
    return {**event("error-response", error=why), "id": request_id}


def event(kind: str, **data: Any) -> Message:
    """Something has happened."""
    message: dict[str, Any] = {"label": LABEL, "type": kind}
    return {**message, "data": data} if data else message


def user_transcription(text: str, caller: str, at: datetime, *, final: bool) -> Message:
    """The caller's spoken words."""
    return event("user-transcription", text=text, user_id=caller, timestamp=_stamp(at), final=final)


def user_input(text: str, kind: str, caller: str, at: datetime, *, final: bool = True, msg_id: str = "") -> Message:
    """The caller's words, spoken (`transcription`) or typed (`chat`)."""
    named = {"msg_id": msg_id} if msg_id else {}
    return event("user-input", text=text, input_type=kind, timestamp=_stamp(at), final=final, user_id=caller, **named)


@dataclass(slots=True)
class Sentences:
    """The sentences of the agent's turn as a page follows them: begun, heard, or cut off in the middle.

    `segment`: the newest sentence's number. It only grows; agents of one call begin at numbers far apart.
    """

    segment: int
    _spoken: list[str] = field(default_factory=list)
    _open: str | None = None

    def begins(self, text: str) -> list[Message]:
        """The agent begins this sentence; what came before it has been heard."""
        before = self._complete()
        self.segment, self._open = self.segment + 1, text
        return [
            *before,
            self._output(text, "new", heard="", unheard=text),
            event("bot-transcription", text=text),
            event("bot-tts-text", text=text),
        ]

    def ends(self, heard: str, *, interrupted: bool) -> list[Message]:
        """The turn is over, and this is what was heard of it."""
        messages = self._cut(heard) if interrupted else self._complete()
        self._spoken, self._open = [], None
        return messages

    def _complete(self) -> list[Message]:
        if self._open is None:
            return []
        text, self._open = self._open, None
        self._spoken.append(text)
        return [self._output(text, "completed", heard=text, unheard="")]

    def _cut(self, heard: str) -> list[Message]:
        if self._open is None:
            return []
        before = " ".join(self._spoken)
        words = heard.removeprefix(before).strip() if heard.startswith(before) else ""
        if words == self._open:
            return self._complete()
        if not self._open.startswith(words):
            words = ""
        return [self._output(self._open, "in-progress", heard=words, unheard=self._open[len(words) :].strip())]

    def _output(self, text: str, status: str, *, heard: str, unheard: str) -> Message:
        return event(
            "bot-output",
            text=text,
            output_type="sentence",
            text_type="sentence",
            aggregated_by="sentence",
            segment_id=self.segment,
            spoken=status == "completed",
            will_be_spoken=True,
            spoken_status=status,
            spoken_progress={"accumulated_text": heard, "remaining_text": unheard},
        )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
