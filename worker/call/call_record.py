"""What one call writes to the store: its state, its transcript, its log; call.py hands over facts and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from runtime.background import Failure, Finished
from runtime.retry import retry
from session.errors import Stale, StoreUnavailable
from session.record import (
    CallerPresence,
    EndReason,
    ErrorReason,
    Session,
    became_ready,
    caller_moved,
    connected_again,
    cut_off,
    ended,
    failed,
    greeted,
    lost,
    page_speaks,
    telephoned,
)
from session.store.ports import Utterance, update
from session.store.redis.store import RedisStore
from worker.call.outbox import Outbox

TRANSCRIPT_SECONDS = 1.0  # for the transcript to be read before the agent goes on

Outcome = EndReason | ErrorReason


class CallRecord:
    """The writes of one call's agent, in order, through every outage of the store.

    Each write carries the agent's attempt and job. A write that is refused as stale means that another agent has the
    call.

    Args:
        store: where the session is kept.
        session: as claimed.
        job: the agent's.
        on_stale: called when another agent has taken over.
    """

    def __init__(self, store: RedisStore, session: Session, job: str, on_stale: Callable[[], None]) -> None:
        self._store, self._session, self._job, self._on_stale = store, session, job, on_stale
        self._fence: dict[str, Any] = {"attempt": session.attempt, "job": job}
        self._outbox = Outbox(session.id, on_stale)

    def ready(self, steps: Mapping[str, float]) -> None:
        """The agent is in its room with its track. `steps`: of the start, in milliseconds since the request."""
        self._write(lambda session, now: became_ready(session, now=now, steps=steps, **self._fence))
        self.log("ready", attempt=self._session.attempt)

    def greeted(self, steps: Mapping[str, float]) -> None:
        """The caller hears the agent. `steps`: of that, in milliseconds since the request."""
        self._write(lambda session, now: greeted(session, steps=steps, **self._fence))

    def caller(self, presence: CallerPresence) -> None:
        """The caller is there, away or back."""
        self._write(lambda session, now: caller_moved(session, presence, now=now, **self._fence))

    def telephoned(self, phone: Mapping[str, str]) -> None:
        """The caller telephones: `from`, `to` and `call_id`."""
        self._write(lambda session, _: telephoned(session, phone, **self._fence))

    def page_speaks(self, rtvi: str) -> None:
        """The caller's page speaks this version of RTVI."""
        self._write(lambda session, _: page_speaks(session, rtvi, **self._fence))

    def cut_off(self, is_cut_off: bool) -> None:
        """The agent has lost LiveKit, or has it back."""
        if is_cut_off:
            self._write(lambda session, now: cut_off(session, now=now, **self._fence))
        else:
            self._write(lambda session, _: connected_again(session, **self._fence))

    def say(self, speaker: str, text: str, *, interrupted: bool = False) -> None:
        """Add to the transcript what the `user` or the `agent` has just said."""
        self.utter(Utterance(speaker=speaker, text=text, at=time.time(), interrupted=interrupted))

    def utter(self, utterance: Utterance) -> None:
        """Add this to the transcript."""
        self._outbox.record(lambda: self._store.say(self._session.id, utterance, **self._fence))

    def log(self, event: str, level: str = "info", **facts: Any) -> None:
        """Add to the session's log; never words of the caller."""
        self._outbox.record(lambda: self._store.log(self._session.id, event, level=level, **facts))

    def own_voice(self) -> None:
        """The caller's loudspeaker gives the agent's own voice back."""
        self.log("own_voice", level="warning")

    def failure(self, failure: Failure) -> None:
        """Let the agent's author see in the session's log what failed, and where; and count it for the metrics."""
        self.log("task_failed", level="error", task=failure.name, error=failure.where)
        self._outbox.record(lambda: self._store.count_failures(1))

    def after(self, write: Callable[[], Any]) -> None:
        """Do this write after all that was recorded before."""
        self._outbox.record(write, essential=True)

    async def alive(self) -> None:
        """Show that this agent lives; a store that is away is no news, since then nobody judges either.

        Raises:
            Finished: another agent has the call.
        """
        try:
            await self._store.alive(self._session.id, **self._fence)
        except Stale:
            self._on_stale()
            raise Finished from None
        except StoreUnavailable:
            pass

    async def transcript(self) -> list[Utterance]:
        """What was said so far. Raises StoreUnavailable after TRANSCRIPT_SECONDS."""
        page = await retry(lambda: self._store.transcript(self._session.id), TRANSCRIPT_SECONDS, on=StoreUnavailable)
        return list(page.items)

    def end(self, outcome: Outcome | None) -> None:
        """Write the end; None: the call goes on, with another agent."""
        self._write(self._last(outcome))

    async def abandon(self, outcome: Outcome | None) -> None:
        """Write the end past all that waits: the worker has died. Raises SessionError."""
        if self._session.worker is not None:
            await self._store.gone(self._session.worker)
        await update(self._store, self._session.id, self._last(outcome))

    async def flush(self, seconds: float) -> None:
        """Wait until all is written, at most so many seconds, and write no more."""
        await self._outbox.flush(seconds)

    def _last(self, outcome: Outcome | None) -> Callable[[Session, float], Session]:
        def change(session: Session, now: float) -> Session:
            if outcome is None:
                return lost(session, job=self._job, now=now)
            session.fenced(**self._fence)
            return ended(session, outcome, now) if isinstance(outcome, EndReason) else failed(session, outcome, now)

        return change

    def _write(self, change: Callable[[Session, float], Session]) -> None:
        self._outbox.record(lambda: update(self._store, self._session.id, change), essential=True)
