"""A dispatcher's parts around one session: store, one worker, LiveKit in memory, a clock that stands; knows no test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry

from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.attempts.silence import Silence
from dispatcher.ending import Ending
from dispatcher.fleet.pool import FleetPool
from dispatcher.livekit.port import OpenRoom, Participant
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.circuit import StartCircuit
from dispatcher.starts.news import News
from dispatcher.starts.queue import StartQueue
from dispatcher.starts.reservations import Reservations
from dispatcher.starts.start import Starts
from dispatcher.upkeep.fast_loop import FastLoop
from session.fence import agent_identity, caller_identity
from session.record import CallerPresence, Session, State, became_ready, claimed, lost
from tests.dispatcher.fakes import Clock, FakeRooms, Timers
from tests.session.making import NOON, a_session, a_session_in, a_worker, admit
from tests.session.memory_store import MemoryStore

CLAIM_SECONDS = 2.0
LATE = NOON + CLAIM_SECONDS
CALLER = Participant(caller_identity("session_a"))


@dataclass
class Rooms(FakeRooms):
    """Calls `meanwhile` once with what is asked, before it answers; ghosts in `sticky` need so many removals."""

    meanwhile: dict[str, Callable[[], Awaitable[Any]]] = field(default_factory=dict)
    sticky: dict[str, int] = field(default_factory=dict)

    async def find(self, room: str) -> OpenRoom | None:
        await self._interrupted("find")
        return await super().find(room)

    async def dispatch(self, session: Session) -> None:
        await self._interrupted("dispatch")
        await super().dispatch(session)

    async def participants(self, room: str) -> Collection[Participant]:
        await self._interrupted("participants")
        return await super().participants(room)

    async def remove(self, room: str, identity: str) -> None:
        self.sticky[identity] = self.sticky.get(identity, 1) - 1
        if self.sticky[identity] > 0:
            self._asked("remove", room)
        else:
            await super().remove(room, identity)

    async def _interrupted(self, what: str) -> None:
        if what in self.meanwhile:
            await self.meanwhile.pop(what)()


@dataclass
class House:
    """One store with one worker, one LiveKit, one dispatcher; `replica` gives another one."""

    clock: Clock
    store: MemoryStore
    rooms: Rooms
    timers: Timers
    registry: CollectorRegistry
    metrics: Metrics
    max_seats: int = 9

    @property
    def attempts(self) -> AttemptExecutor:
        return self._attempts

    def __post_init__(self) -> None:
        self._attempts = self.replica()

    def replica(self) -> AttemptExecutor:
        return AttemptExecutor(
            self.store,
            self.rooms,
            self.metrics,
            StartCircuit(self.store),
            Ending(self.store, self.rooms),
            self.max_seats,
            claim_seconds=CLAIM_SECONDS,
            timers=self.timers,
            chance=lambda: 0.5,
        )

    async def worker(self, worker_id: str = "worker_a", **changes: Any) -> None:
        await self.store.beat(a_worker(worker_id, **{"agents": {"default": ()}, **changes}))

    async def has(self, session: Session, *people: Participant) -> Session:
        """Admit this session; these people are in its room, which is open."""
        self.rooms.opened.append(OpenRoom(session.room, f"RM_{session.room}"))
        self.rooms.people[session.room] = list(people)
        return await admit(self.store, session)

    async def handle_due(self, seconds: float = LATE) -> Session:
        """See to it at this Unix time, at which the worker has just been heard of."""
        self.clock.seconds = seconds
        await self.worker()
        await self.attempts.handle_due("session_a")
        return await self.session()

    async def session(self, session_id: str = "session_a") -> Session:
        return await self.store.get(session_id)

    async def events(self) -> list[Mapping[str, Any]]:
        lines = await self.store.logs("session_a", limit=100)
        return [{name: value for name, value in line.items() if name != "at"} for line in lines]

    def counted(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"greenroom_{name}_total", labels)


def a_house(kind: type[MemoryStore] = MemoryStore) -> House:
    clock, registry = Clock(NOON), CollectorRegistry()
    return House(clock, kind(clock), Rooms(), Timers(), registry, Metrics(registry))


def starting(**changes: Any) -> Session:
    """Dispatched at noon."""
    return a_session(**{"tries": 1, "progress_at": NOON, "deadline": LATE, **changes})


def recovering(**changes: Any) -> Session:
    """Its agent, of the first attempt, died at noon; its caller is there."""
    ready = a_session_in(State.READY, **{"ready_at": NOON, "caller": CallerPresence.PRESENT, **changes})
    return lost(ready, job="job_a", now=NOON)


def ghost(attempt: int) -> Participant:
    return Participant(agent_identity("session_a", attempt), kind="AGENT")


def is_ready(session: Session, now: float) -> Session:
    """The session once its current attempt's agent has claimed it and is there."""
    mine = {"attempt": session.attempt, "job": f"job_{session.attempt}", "now": now}
    return became_ready(claimed(session, worker="worker_a", **mine), steps={}, **mine)


def a_watch(house: House) -> FastLoop:
    queue = StartQueue(house.store, house.attempts, 9)
    silence = Silence(house.store, Ending(house.store, house.rooms), house.rooms, house.clock)
    return FastLoop(house.store, house.rooms, house.attempts, queue, silence, house.metrics, FleetPool(house.store))


def a_starts(store: Any, rooms: Any, **facts: Any) -> Starts:
    return Starts(store, rooms, Ending(store, rooms), News(store), **facts)


def a_reservations(store: Any, rooms: Any, **facts: Any) -> Reservations:
    return Reservations(store, rooms, Ending(store, rooms), **{"max_seats": 9, **facts})


async def looks(house: House, seconds: float, *, beats: Sequence[str] = (), talks: Sequence[str] = ()) -> None:
    """Look twice a second until this Unix time, while these workers beat and these sessions' agents live."""
    watch = a_watch(house)
    while house.clock.seconds < seconds:
        house.clock.seconds += 0.5
        for name in beats:
            await house.worker(name)
        for name in talks:
            session = await house.session(name)
            await house.store.alive(name, attempt=session.attempt, job=session.job or "")
        await watch.run()


def in_call(**changes: Any) -> Session:
    """A call on worker_a, recovered once."""
    return a_session_in(State.READY, **{"ready_at": NOON, "caller": CallerPresence.PRESENT, "recoveries": 1, **changes})


async def has_call(house: House, name: str = "session_a", **changes: Any) -> Session:
    caller = Participant(caller_identity(name))
    session = replace(in_call(**changes), id=name, room=name)
    return await house.has(session, caller)
