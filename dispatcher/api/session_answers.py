"""The shapes in which sessions are answered: record, transcript, log, timings; api/sessions.py uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from dispatcher.api.schemas import Camel, Success
from session.record import CallerPresence, EndReason, ErrorReason, Session, State


class SessionFacts(Camel):
    """A session as anyone may see it: no room, no token, no metadata."""

    session_id: str
    """The session's id."""
    status: State
    """State of the session; see *States*."""
    user_id: str | None
    """The user's id in your system; null for an anonymous session."""
    agent: str
    """Name of the agent."""
    created_at: float
    """When the session was made, Unix seconds."""
    prewarmed: bool
    """Whether a warm process was idle when the session was admitted."""
    startup_time: float | None
    """Seconds from the request to the first `ready`; null until then."""
    attempt: int
    """Number of the current dispatch, from 1; it grows when an agent is replaced."""
    recoveries: int
    """How often the session's agent was replaced."""
    caller: CallerPresence
    """Whether the caller is in the room: `absent`, `present`, or `away` for a moment."""
    worker: str | None
    """The worker that runs the agent; null while none does."""
    release: str
    """The LIVEKIT_AGENT_DEPLOYMENT of the workers that were asked; empty where they have none."""
    last_active: float
    """When the session was last used or asked for, Unix seconds."""
    error: ErrorReason | None
    """Why the session failed (status `error`); see *How a session ends*."""
    end_reason: EndReason | None
    """Why the session ended (status `ended`); see *How a session ends*."""
    ended_at: float | None
    """When the session ended or failed, Unix seconds."""

    @classmethod
    def of(cls, session: Session) -> SessionFacts:
        """Those of this record."""
        return cls.model_validate(facts(session))


class PhoneFacts(Camel):
    """A telephone call."""

    from_: str = Field(alias="from")
    """The number of who called; empty where it is withheld."""
    to: str
    """The number that was called."""
    call_id: str
    """LiveKit's id of the call, for its SIP service."""


class SessionAnswer(SessionFacts, Success):
    """GET /api/session/{id}."""

    phone: PhoneFacts | None
    """The caller's telephone call, for who proves that the session is theirs, and for operators; else null."""


class SessionsAnswer(Success):
    """GET /api/sessions."""

    count: int
    """How many sessions this answer holds."""
    sessions: Sequence[SessionFacts]
    """The sessions, newest first."""
    cursor: str | None
    """Give this back as `cursor` for the next page; null: this was the last one."""


class TranscriptItem(Camel):
    """One thing that was said."""

    speaker: str
    """`user` or `agent`."""
    text: str
    """The words. Of an interrupted agent: the words that were heard."""
    at: float
    """When the words were said, Unix seconds."""
    interrupted: bool
    """Whether the caller interrupted these words."""


class TranscriptAnswer(Success):
    """GET /api/session/{id}/transcript."""

    session_id: str
    """The session's id."""
    items: Sequence[TranscriptItem]
    """What was said, oldest first."""
    cursor: str | None
    """Give this back as `cursor` for the next page; null: this is all so far."""


class LogsAnswer(Success):
    """GET /api/session/{id}/logs."""

    session_id: str
    """The session's id."""
    logs: Sequence[dict[str, Any]]
    """Log lines, oldest first: `at` (Unix seconds), `level`, `event`, and facts of the event."""


class TimingStep(Camel):
    """One step of a start, in milliseconds since the request was received."""

    name: str
    """Name of the step."""
    ms: float
    """Milliseconds from the request to the end of the step."""


class TimingsAnswer(Success):
    """GET /api/session/{id}/timings."""

    session_id: str
    """The session's id."""
    attempt: int
    """Number of the current dispatch."""
    steps: Sequence[TimingStep]
    """The steps so far, in order."""


def facts(session: Session) -> dict[str, Any]:
    """The public fields of a record, by the names of SessionFacts."""
    return {
        "session_id": session.id,
        "status": session.state,
        "user_id": session.user_id,
        "agent": session.agent,
        "created_at": session.created_at,
        "prewarmed": session.prewarmed,
        "startup_time": session.startup_seconds,
        "attempt": session.attempt,
        "recoveries": session.recoveries,
        "caller": session.caller,
        "worker": session.worker,
        "release": session.deployment,
        "last_active": session.last_active,
        "error": session.error,
        "end_reason": session.end_reason,
        "ended_at": session.ended_at,
    }
