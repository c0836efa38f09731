"""Finds sessions by what operators look for, page by page; api/sessions.py shows them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from session.record import JOINABLE, Session, State
from session.store.codec import to_cursor
from session.store.ports import Page, SessionStore

CHUNK = 200  # records that are read at a time
MOST_READ = 2000  # records that one answer may read: it takes some tens of milliseconds, and holds nobody up


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None: anything. `since`: created then or later, Unix seconds."""

    states: Collection[State] = JOINABLE
    user_id: str | None = None
    agent: str | None = None
    worker: str | None = None
    since: float | None = None

    @property
    def everything(self) -> bool:
        """Whether every session in these states is wanted."""
        return all(each is None for each in (self.user_id, self.agent, self.worker, self.since))

    def takes(self, session: Session) -> bool:
        """Whether it is one of those that are looked for."""
        return (
            (self.user_id is None or session.user_id == self.user_id)
            and (self.agent is None or session.agent == self.agent)
            and (self.worker is None or session.worker == self.worker)
            and not self.too_old(session)
        )

    def too_old(self, session: Session) -> bool:
        """Whether it and all that come after it in a list are older than what is looked for."""
        return self.since is not None and session.created_at < self.since


async def page(store: SessionStore, wanted: Wanted, *, limit: int, cursor: str | None) -> Page:
    """The next sessions that are wanted, newest first: fewer than `limit` where MOST_READ others stand between them.

    Args:
        store: where they are.
        wanted: which ones.
        limit: how many at most.
        cursor: of the page before; None: from the newest on.

    Raises:
        ValueError: the cursor is none of ours.
        StoreUnavailable.
    """
    if wanted.everything:
        return await store.page(wanted.states, limit=limit, cursor=cursor)
    found: list[Session] = []
    for _ in range(MOST_READ // CHUNK):
        read = await store.page(wanted.states, limit=CHUNK, cursor=cursor)
        for session in read.sessions:
            if wanted.too_old(session):
                return Page(found, None)
            if wanted.takes(session):
                found.append(session)
                if len(found) == limit:
                    return Page(found, to_cursor(session.created_at, session.id))
        cursor = read.cursor
        if cursor is None:
            break
    return Page(found, cursor)
