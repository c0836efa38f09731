"""How a request can be refused beyond what happens to sessions; knows no HTTP (dispatcher/refusals.py does).

SessionError (session/errors.py)
├── LiveKitUnavailable     livekit-server did not answer, or not as it should
├── StartFailed            the agent of this start failed before it was ready
├── UnknownAgent           no worker has an agent of this name
├── ConfigNotAllowed       the agent does not let a session choose this
├── ProviderNotUsable      no worker can use this provider
├── NotJoinable            the session's state lets nobody join
├── NotTheirs              the session is another user's
├── RoomNameGiven          a front end named the room itself
├── BadSignature           a webhook that LiveKit did not sign
└── BadRequest             a parameter or body that makes no sense; the message says which
"""

from __future__ import annotations

from session.errors import SessionError


class LiveKitUnavailable(SessionError):
    """LiveKit did not answer; try again shortly."""


class StartFailed(SessionError):
    """The agent could not start; try again shortly."""


class UnknownAgent(SessionError):
    """No worker has an agent of this name."""


class ConfigNotAllowed(SessionError):
    """The agent does not let a session choose this."""


class ProviderNotUsable(SessionError):
    """No worker can use this provider."""


class NotJoinable(SessionError):
    """The session cannot be joined in its present state."""


class NotTheirs(SessionError):
    """The session belongs to another user."""


class RoomNameGiven(SessionError):
    """room_name cannot be chosen; leave it out and every call gets a room of its own."""


class BadSignature(SessionError):
    """The webhook is not signed by LiveKit with this deployment's secret."""


class BadRequest(SessionError):
    """The request makes no sense."""
