"""Every way a session can be refused or go wrong; raised by store, dispatcher and worker.

SessionError
├── SessionNotFound        no record under this id (or it was kept long enough)
├── IllegalTransition      the state table does not allow this move
├── Stale                  an agent's attempt or job is not the current one: be silent and leave
├── Conflict               the record changed since it was read: read again and decide again
├── NoCapacity             every seat is taken
├── TooManySessions        its owner has as many live sessions as one owner may have
├── NoWorker               no worker is there to run an agent
├── StoreUnavailable       the store did not answer in time
├── OperationReused        an operation that is known was asked for again, with other facts
├── UnreadableRecord       a stored record is of an unknown version or corrupt
└── BadMetadata            a job's metadata is not ours or was tampered with
"""


class SessionError(Exception):
    """Base of all; its docstring is the default message."""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message or type(self).__doc__)
        self.retry_after = retry_after
        """Seconds after which the same may succeed; None: nobody knows."""


class SessionNotFound(SessionError):
    """There is no such session."""


class IllegalTransition(SessionError):
    """The session cannot change in this way from its present state."""


class Stale(SessionError):
    """This agent is not the session's current one."""


class Conflict(SessionError):
    """The session changed while this change was being decided."""


class NoCapacity(SessionError):
    """Every seat is taken; try again when a call has ended."""


class TooManySessions(SessionError):
    """Too many live sessions from here; end one, then try again."""


class NoWorker(SessionError):
    """No worker is running; start one, or wait until it is back."""


class StoreUnavailable(SessionError):
    """The session store did not answer; calls that run go on, new ones must wait."""


class OperationReused(SessionError):
    """This Idempotency-Key was used for another request; use a new one."""


class UnreadableRecord(SessionError):
    """A stored record has an unknown version or is corrupt."""


class BadMetadata(SessionError):
    """The job's metadata does not name a session and an attempt."""
