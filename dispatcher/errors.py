"""How a request can be refused beyond what happens to sessions; api/errors.py answers these over HTTP.

SessionError (session/errors.py)
├── LiveKitUnavailable     livekit-server did not answer, or not as it should
├── RateLimited            too many starts from one address, or of one user
├── StartsFailing          the agent's starts fail in a row: none is begun for a while
├── NotClaimed             this start's agent was asked for, and none came
├── ConnectFailed          this start's agent came, and could not join the room
├── BadConfig              what the session chooses for itself cannot be used
├── ProviderFailed         this start's agent lost its speech or its brain
├── AgentFailed            this start's agent has a fault in its own code
├── AgentLost              this start's agent came, and its process died
├── ServerLost             this start's room was lost with its server
├── UnknownAgent           no worker has an agent of this name
├── UnknownWorker          no worker of this name lives
├── AlertsOff              there is nowhere to post alerts
├── AlertNotPosted         the receiver did not take an alert
├── ConfigNotAllowed       the agent does not let a session choose this
├── ProviderNotUsable      no worker can use this provider
├── NotJoinable            the session's state lets nobody join
├── NotTheirs              the session is another user's
├── ProofMissing           the session needs a proof, and none is shown
├── KeyMissing             an API key is needed, and none is given
├── KeyInvalid             the API key is unknown or was revoked
├── KeyInAddress           an API key stands in the request's address
├── OperatorsOnly          a caller's key is used for what operators may do
├── LoopbackOnly           there are no keys, and the request comes from another machine
├── AgentNotAllowed        the API key may not start this agent
├── UnknownHost            the request names a host that is not ours
├── OriginNotAllowed       a page of this origin may not call
├── TokenTooLarge          a front end wants more in its token than fits
├── BadSignature           a webhook that LiveKit did not sign
└── BadRequest             a parameter or body that makes no sense; the message says which
"""

from __future__ import annotations

from collections.abc import Mapping

from session.errors import NoCapacity, NoWorker, SessionError
from session.record import ErrorReason


class LiveKitUnavailable(SessionError):
    """LiveKit did not answer; try again shortly."""


class RateLimited(SessionError):
    """Too many starts; try again later."""


class StartsFailing(SessionError):
    """Starts of this agent have failed in a row; try again when they are tried again."""


class NotClaimed(SessionError):
    """No agent came into the room in time; try again shortly."""


class ConnectFailed(SessionError):
    """The agent could not join the room; try again shortly."""


class BadConfig(SessionError):
    """The agent refuses this session's config; the session's log says which field."""


class ProviderFailed(SessionError):
    """A speech or language provider of the agent failed; try again shortly."""


class AgentFailed(SessionError):
    """The agent has a fault in its own code; the session's log says where."""


class AgentLost(SessionError):
    """The agent's process died; try again shortly."""


class ServerLost(SessionError):
    """The room was lost with its server; try again shortly."""


class UnknownAgent(SessionError):
    """No worker has an agent of this name."""


class UnknownWorker(SessionError):
    """No worker of this name lives; GET /api/workers has their names."""


class AlertsOff(SessionError):
    """WEBHOOK_URL is not set: alerts go nowhere."""


class AlertNotPosted(SessionError):
    """The receiver of WEBHOOK_URL did not take it."""


class ConfigNotAllowed(SessionError):
    """The agent does not let a session choose this."""


class ProviderNotUsable(SessionError):
    """No worker can use this provider."""


class NotJoinable(SessionError):
    """The session cannot be joined in its present state."""


class NotTheirs(SessionError):
    """The session belongs to another user."""


class ProofMissing(SessionError):
    """Show that the session is yours: its sessionSecret or a token of it as X-Session-Secret, or your API key."""


class KeyMissing(SessionError):
    """An API key is needed; send it as Authorization: Bearer."""


class KeyInvalid(SessionError):
    """This API key is not valid; it may have been revoked."""


class KeyInAddress(SessionError):
    """An API key must never stand in an address, where logs keep it: revoke this key, and send the next as a header."""


class OperatorsOnly(SessionError):
    """This needs an operator's API key."""


class LoopbackOnly(SessionError):
    """Only this machine is answered: make API keys with `greenroom keys new`, or let callers in by GREENROOM_OPEN=1."""


class AgentNotAllowed(SessionError):
    """This API key may not start this agent."""


class UnknownHost(SessionError):
    """This server does not answer to this host name; add it to GREENROOM_HOSTS."""


class OriginNotAllowed(SessionError):
    """Pages of this origin may not call; add it to GREENROOM_CORS_ORIGINS."""


class TokenTooLarge(SessionError):
    """The token would be too large."""


class BadSignature(SessionError):
    """The webhook is not signed by LiveKit with this deployment's secret."""


class BadRequest(SessionError):
    """The request makes no sense."""


FAILED: Mapping[ErrorReason, type[SessionError]] = {
    ErrorReason.NO_WORKER: NoWorker,
    ErrorReason.NO_CAPACITY: NoCapacity,
    ErrorReason.NOT_CLAIMED: NotClaimed,
    ErrorReason.CONNECT_FAILED: ConnectFailed,
    ErrorReason.BAD_CONFIG: BadConfig,
    ErrorReason.PROVIDER_FAILED: ProviderFailed,
    ErrorReason.AGENT_FAILED: AgentFailed,
    ErrorReason.LOST: AgentLost,
    ErrorReason.SERVER_LOST: ServerLost,
}
"""What a start is answered whose session failed while the answer waited."""
