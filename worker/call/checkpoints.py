"""Keeps the conversation in the store while the call runs, and gives it to the agent that takes over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pipeline.errors import UnreadableCheckpoint
from pipeline.resume.checkpoint import Checkpoint
from pipeline.resume.restore import Restored, restored
from runtime.background import Finished, keep_going
from runtime.retry import retry
from session.errors import Stale, StoreUnavailable
from session.record import Session
from session.store.ports import Utterance, WatchStore

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.5  # between two tries while the store is away
BEFORE_TOOL_SECONDS = 1.0  # for the journal, before a tool runs all the same: a caller is waiting
BEFORE_LLM_SECONDS = 0.25  # for the caller's words, likewise; it takes a millisecond
SHOWN_SECONDS = 0.25  # for the caller's words, before a page shows them: what is shown is remembered
RECALL_SECONDS = 3.0  # for a checkpoint to be read; without one the conversation begins anew


class Checkpoints:
    """Keeps one conversation's newest checkpoint.

    Args:
        store: where it is kept.
        session: whose.
        job: the agent's.
        on_stale: called when another agent has taken over.
    """

    def __init__(self, store: WatchStore, session: Session, job: str, on_stale: Callable[[], None]) -> None:
        self._store, self._session, self._on_stale = store, session, on_stale
        self._fence: dict[str, Any] = {"attempt": session.attempt, "job": job}
        self._away = False
        self._due = asyncio.Event()
        self._settled = asyncio.Event()  # nothing is due, or nothing can be done about it now
        self._settled.set()
        self._writing = asyncio.Lock()  # an older one must not overtake a newer one

    def changed(self) -> None:
        """There is something new to keep."""
        self._due.set()
        if not self._away:
            self._settled.clear()

    async def settled(self) -> None:
        """Wait until what has changed so far is kept: for SHOWN_SECONDS, and not while the store is away."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SHOWN_SECONDS):
                await self._settled.wait()

    async def run(self, take: Callable[[], Checkpoint]) -> None:
        """Keep what `take` gives whenever it has changed, through every outage of the store; only the newest counts."""
        await keep_going(lambda: self._keep_newest(take), "checkpoints", owner=self._session.id)

    async def _keep_newest(self, take: Callable[[], Checkpoint]) -> None:
        await self._due.wait()
        self._due.clear()
        try:
            async with self._writing:
                await self.keep(take())
                self._away = False
            if not self._due.is_set():
                self._settled.set()
        except StoreUnavailable:
            self._away = True
            self._settled.set()
            self._due.set()
            await asyncio.sleep(RETRY_SECONDS)
        except Stale:
            self._on_stale()
            raise Finished from None

    async def keep_first(self, checkpoint: Checkpoint, *, for_tool: bool) -> None:
        """Keep what the LLM is about to answer, or the journal of a tool that must not run twice, before it does.

        A store that is away does not stop the conversation: `run` keeps it later.
        """
        if self._away and not for_tool:
            self.changed()
            return
        seconds = BEFORE_TOOL_SECONDS if for_tool else BEFORE_LLM_SECONDS
        try:
            async with asyncio.timeout(seconds), self._writing:
                await self.keep(checkpoint)
                self._away = False
        except Stale:
            self._on_stale()
            await asyncio.get_running_loop().create_future()  # another agent has the call: this one does nothing more
        except (StoreUnavailable, TimeoutError):
            self._away = True
            self.changed()
            if for_tool:
                logger.warning("session=%s event=tool_not_journalled", self._session.id)

    async def keep(self, checkpoint: Checkpoint) -> None:
        """Keep this one. Raises Stale, StoreUnavailable."""
        await self._store.keep_checkpoint(self._session.id, checkpoint.to_json(), **self._fence)


async def recall(store: WatchStore, session: Session, repeatable: Collection[str]) -> Restored | None:
    """Where the agent before left off; None where nothing can be taken up.

    A checkpoint that cannot be read is set aside for inspection.

    Args:
        store: where it is kept.
        session: whose.
        repeatable: names of the tools that may run twice.

    Raises:
        StoreUnavailable: the store was away for RECALL_SECONDS.
    """
    text = await retry(lambda: store.checkpoint(session.id), RECALL_SECONDS, on=StoreUnavailable)
    if text is None:
        return None
    try:
        return restored(Checkpoint.from_json(text), repeatable)
    except UnreadableCheckpoint as error:
        logger.error("session=%s event=checkpoint_unreadable why=%s", session.id, error)
        with suppress(StoreUnavailable):
            await store.set_aside(session.id)
        return None


def handed_over(checkpoint: Checkpoint) -> Checkpoint:
    """The last one of an agent that was stopped on purpose: no words are to blame for that."""
    return replace(checkpoint, tried=max(0, checkpoint.tried - 1))


def unwritten(before: Restored, transcript: Sequence[Utterance], at: float) -> list[Utterance]:
    """What was said and the transcript lacks: an agent writes a turn down when it is over, and may be lost before.

    Args:
        before: where the agent left off.
        transcript: what it has written.
        at: the time that these words get, Unix seconds.
    """
    missing = []
    users = [each.text for each in transcript if each.speaker == "user"]
    if before.asked and users[-1:] != [before.asked]:
        missing.append(Utterance(speaker="user", text=before.asked, at=at))
    last = transcript[-1] if transcript else None
    if before.heard and (last is None or (last.speaker, last.text) != ("agent", before.heard)):
        missing.append(Utterance(speaker="agent", text=before.heard, at=at, interrupted=True))
    return missing
