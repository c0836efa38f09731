"""Posts alerts to WEBHOOK_URL, each once when it begins and once when it is over; upkeep/schedule.py runs it.

One dispatcher at a time looks. What it found is kept in the store after it was posted, so that another goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from dispatcher.alerts.judge import Memory, Notice, Seen, judge
from session.store.ports import SILENT_SECONDS, Store

NOTE = "alerts"
POST_SECONDS = 5.0  # for the receiver's answer
RUNBOOK = "docs/operations.md#alerts"
TEST_NAME = "GreenroomTest"

_log = logging.getLogger("dispatcher")
_memory = TypeAdapter(Memory)


class NotPosted(Exception):
    """The receiver did not take an alert; the message says why, without its address."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where alerts are posted. `url`: may hold a secret."""

    url: str
    transport: httpx.AsyncBaseTransport | None = None

    async def post(self, body: Mapping[str, Any]) -> None:
        """Post one alert. Raises NotPosted."""
        try:
            async with httpx.AsyncClient(timeout=POST_SECONDS, transport=self.transport) as http:
                answer = await http.post(self.url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotPosted(type(error).__name__) from None
        if not answer.is_success:
            raise NotPosted(f"HTTP {answer.status_code}")

    async def test(self, now: float) -> None:
        """Post an alert that is none. `now`: Unix seconds. Raises NotPosted."""
        await self.post(_body(TEST_NAME, "firing", "This is a test: alerts arrive here.", now, now, 0.0))


def receiver_of(url: SecretStr) -> Receiver | None:
    """The receiver at WEBHOOK_URL; None where it is empty."""
    return Receiver(url.get_secret_value()) if url.get_secret_value() else None


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts of the deployment with this store."""

    store: Store
    receiver: Receiver

    async def look(self) -> None:
        """Judge, post what is to be posted, and keep that; what could not be posted is posted at the next look.

        Raises:
            StoreUnavailable.
        """
        memory = _read(await self.store.note(NOTE))
        now, counts, workers, stats = await asyncio.gather(
            self.store.now(), self.store.counts(), self.store.workers(seen_within=SILENT_SECONDS), self.store.stats()
        )
        after, notices = judge(memory, Seen(now, counts, workers, stats))
        for notice in notices:
            if not await self._posted(notice, now):
                after = _unposted(after, memory, notice)
        await self.store.keep_note(NOTE, _memory.dump_json(after).decode())

    async def _posted(self, notice: Notice, now: float) -> bool:
        state = "firing" if notice.firing else "resolved"
        try:
            rule = notice.rule
            await self.receiver.post(_body(rule.name, state, rule.sentence, now, notice.since, notice.value))
        except NotPosted as error:
            _log.warning("event=alert_not_posted alert=%s state=%s why=%s", notice.rule.name, state, error)
            return False
        _log.warning("event=alert alert=%s state=%s value=%g", notice.rule.name, state, notice.value)
        return True


def _unposted(after: Memory, before: Memory, notice: Notice) -> Memory:
    """The memory as if this notice were still to be posted."""
    name = notice.rule.name
    again = {name: before.episodes[name]} if name in before.episodes else {}
    return Memory(after.samples, {**after.episodes, **again})


def _read(note: str | None) -> Memory:
    """What is kept; one that cannot be read counts as none."""
    if note is None:
        return Memory()
    try:
        return _memory.validate_json(note)
    except ValidationError:
        _log.warning("event=alerts_forgotten why=unreadable")
        return Memory()


def _body(name: str, state: str, sentence: str, now: float, since: float, value: float) -> dict[str, Any]:
    return {
        "text": f"{name} is {state}: {sentence}",
        "timestamp": now,
        "alert": name,
        "state": state,
        "value": value,
        "since": since,
        "runbook": f"{RUNBOOK}-{name.lower()}" if name != TEST_NAME else RUNBOOK,
    }
