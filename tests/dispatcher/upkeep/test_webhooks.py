import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.ending import Ending
from dispatcher.livekit.participants import is_caller, is_ghost
from dispatcher.livekit.port import OpenRoom, Participant, RoomWebhook, WebhookKind
from dispatcher.observe.metrics import Metrics
from dispatcher.upkeep.webhooks import REMEMBER_SECONDS, Webhooks, session_of, with_caller
from session.errors import StoreUnavailable
from session.fence import adopted_session_id, agent_identity, caller_identity
from session.record import FINAL, STEP_SECONDS, AttemptStep, CallerPresence, EndReason, Session, State
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.house import a_reservations
from tests.session.making import NOON, a_session, a_session_in, admit, ends
from tests.session.memory_store import MemoryStore

SECRET = "0123456789abcdef0123456789abcdef"
CALLER = Participant(caller_identity("session_a"))
AGENT = Participant(agent_identity("session_a", 1), kind="AGENT")
ROOM = OpenRoom("session_a", "RM_a")


@dataclass
class House:
    """One store, one LiveKit, and the webhooks between them."""

    clock: Clock
    store: MemoryStore
    rooms: FakeRooms
    registry: CollectorRegistry
    webhooks: Webhooks
    count: int = 0

    async def hear(self, kind: WebhookKind | None, who: Participant | None = None, **changes: Any) -> None:
        self.count += 1
        facts = {"id": f"EV_{self.count}", "kind": kind, "room": ROOM, "participant": who}
        await self.webhooks.apply(RoomWebhook(**{**facts, **changes}))

    async def session(self) -> Session:
        return await self.store.get("session_a")

    def ends(self, reason: str) -> int:
        return ends(self.store)[reason]

    async def events(self) -> list[Mapping[str, Any]]:
        lines = await self.store.logs("session_a", limit=100)
        return [{name: value for name, value in line.items() if name not in ("at", "level")} for line in lines]


class FailingStore(MemoryStore):
    """Fails at the first record that is to be written."""

    failures = 1

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable
        return await super().write(session, op=op, max_seats=max_seats)


@pytest.fixture
def house() -> House:
    return a_house()


def a_house(kind: Callable[[Clock], MemoryStore] = MemoryStore) -> House:
    clock, rooms, registry = Clock(NOON), FakeRooms(), CollectorRegistry()
    store = kind(clock)
    reservations = a_reservations(store, rooms)
    webhooks = Webhooks(store, rooms, Ending(store, rooms), Metrics(registry), SECRET, reservations)
    return House(clock, store, rooms, registry, webhooks)


@pytest.mark.anyio
async def test_a_caller_who_joins_is_there(house: House) -> None:
    await admit(house.store, a_session_in(State.READY))
    house.clock.seconds = NOON + 3
    await house.hear(WebhookKind.JOINED, CALLER)
    session = await house.session()
    assert (session.caller, session.caller_since, session.last_active) == (CallerPresence.PRESENT, NOON + 3, NOON + 3)
    assert await house.events() == [{"event": "caller", "caller": "present"}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("session", "told"),
    [
        (a_session_in(State.RECOVERING, recoveries=1), ["recovering"]),
        (a_session_in(State.READY, recoveries=1), ["ready"]),
        (a_session_in(State.READY), []),
    ],
    ids=["during a recovery", "after one", "where none was"],
)
async def test_a_page_that_joins_anew_is_told_how_its_session_stands(
    house: House, session: Session, told: list[str]
) -> None:
    await admit(house.store, session)
    await house.hear(WebhookKind.JOINED, CALLER)
    assert [state for _, _, state in house.rooms.told] == told


@pytest.mark.anyio
async def test_a_page_that_cannot_be_told_is_there_all_the_same(house: House) -> None:
    await admit(house.store, a_session_in(State.READY, recoveries=1))
    house.rooms.away = True
    await house.hear(WebhookKind.JOINED, CALLER)
    assert (await house.session()).caller is CallerPresence.PRESENT


@pytest.mark.anyio
@pytest.mark.parametrize(
    "who",
    [
        pytest.param(AGENT, id="the agent"),
        pytest.param(Participant(caller_identity("session_b")), id="another session's caller"),
        pytest.param(None, id="nobody"),
    ],
)
async def test_nobody_else_is_taken_for_the_caller(house: House, who: Participant | None) -> None:
    before = await admit(house.store, a_session_in(State.READY))
    house.rooms.people["session_a"] = [AGENT]
    await house.hear(WebhookKind.JOINED, who)
    await house.hear(WebhookKind.LEFT, who)
    assert await house.session() == before


@pytest.mark.anyio
async def test_a_caller_who_leaves_is_away(house: House) -> None:
    await admit(house.store, a_session_in(State.READY, caller=CallerPresence.PRESENT, caller_since=NOON))
    house.clock.seconds = NOON + 3
    await house.hear(WebhookKind.LEFT, CALLER)
    session = await house.session()
    assert (session.caller, session.caller_since) == (CallerPresence.AWAY, NOON + 3)


@pytest.mark.anyio
async def test_a_caller_whom_the_server_still_sees_has_not_left(house: House) -> None:
    before = await admit(house.store, a_session_in(State.READY, caller=CallerPresence.PRESENT))
    house.rooms.people["session_a"] = [AGENT, CALLER]
    await house.hear(WebhookKind.LEFT, CALLER)
    assert await house.session() == before


@pytest.mark.anyio
@pytest.mark.parametrize("replaced", [False, True], ids=["a hang-up", "a second join"])
async def test_while_livekit_is_away_nobody_knows_whether_the_caller_left(house: House, replaced: bool) -> None:
    await admit(house.store, a_session_in(State.READY, caller=CallerPresence.PRESENT))
    house.rooms.away = True
    await house.hear(WebhookKind.LEFT, CALLER, replaced=replaced)
    assert (await house.session()).caller is CallerPresence.PRESENT


@pytest.mark.anyio
async def test_a_room_said_to_be_gone_ends_no_session_while_livekit_is_away(house: House) -> None:
    before = await admit(house.store, a_session_in(State.READY, caller=CallerPresence.PRESENT))
    house.rooms.away = True
    await house.hear(WebhookKind.ROOM_FINISHED)
    assert await house.session() == before


@pytest.mark.anyio
async def test_a_webhook_that_could_not_be_applied_is_applied_when_it_comes_again() -> None:
    house = a_house(FailingStore)
    await admit(house.store, a_session_in(State.READY, caller=CallerPresence.PRESENT))
    webhook = RoomWebhook("EV_1", WebhookKind.ROOM_FINISHED, ROOM)
    with pytest.raises(StoreUnavailable):
        await house.webhooks.apply(webhook)
    assert (await house.session()).state is State.READY
    await house.webhooks.apply(webhook)
    assert house.ends("caller_left") == 1
    await house.webhooks.apply(webhook)
    assert house.registry.get_sample_value("greenroom_webhooks_ignored_total", {"why": "repeated"}) == 1


@pytest.mark.anyio
async def test_an_agent_that_leaves_without_an_end_is_lost(house: House) -> None:
    await admit(house.store, a_session_in(State.READY, caller=CallerPresence.PRESENT))
    house.rooms.people["session_a"] = [CALLER]
    house.clock.seconds = NOON + 3
    await house.hear(WebhookKind.LEFT, AGENT)
    session = await house.session()
    assert (session.state, session.job, session.deadline) == (State.RECOVERING, None, NOON + 3)
    assert await house.events() == [{"event": "agent_left", "attempt": 1}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("session", "away"),
    [
        pytest.param(a_session_in(State.READY, attempt=2), False, id="of an earlier attempt"),
        pytest.param(a_session_in(State.STARTING), False, id="before it was ready: its deadline tells"),
        pytest.param(a_session_in(State.RECOVERING, job=None), False, id="that is lost already"),
        pytest.param(a_session_in(State.ENDED), False, id="after the end"),
        pytest.param(a_session_in(State.READY), True, id="while LiveKit cannot be asked"),
    ],
)
async def test_an_agents_leaving_means_nothing_where_it_is(house: House, session: Session, away: bool) -> None:
    before = await admit(house.store, session)
    house.rooms.away = away
    await house.hear(WebhookKind.LEFT, AGENT)
    assert await house.session() == before


@pytest.mark.anyio
async def test_from_its_callers_coming_on_an_agent_is_due_for_a_reserved_session(house: House) -> None:
    await admit(house.store, a_session_in(State.RESERVED))
    house.clock.seconds = NOON + 90
    await house.hear(WebhookKind.JOINED, CALLER)
    session = await house.session()
    assert session.progress_at == NOON + 90
    assert session.deadline == NOON + 90 + STEP_SECONDS[AttemptStep.DISPATCHED]


@pytest.mark.anyio
@pytest.mark.parametrize("state", [State.QUEUED, State.STARTING, State.RECOVERING])
async def test_the_callers_coming_moves_no_other_deadline(house: House, state: State) -> None:
    await admit(house.store, a_session_in(state, deadline=NOON + 7))
    house.clock.seconds = NOON + 3
    await house.hear(WebhookKind.JOINED, CALLER)
    session = await house.session()
    assert (session.caller, session.deadline) == (CallerPresence.PRESENT, NOON + 7)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("caller", "reason"),
    [
        pytest.param(CallerPresence.ABSENT, EndReason.NOT_JOINED, id="to which nobody came"),
        pytest.param(CallerPresence.PRESENT, EndReason.CALLER_LEFT, id="in which the caller was"),
        pytest.param(CallerPresence.AWAY, EndReason.CALLER_LEFT, id="that the caller had left"),
    ],
)
async def test_a_room_that_is_gone_ends_its_session(house: House, caller: CallerPresence, reason: EndReason) -> None:
    await admit(house.store, a_session_in(State.READY, caller=caller))
    house.clock.seconds = NOON + 3
    await house.hear(WebhookKind.ROOM_FINISHED)
    session = await house.session()
    assert (session.state, session.end_reason, session.ended_at) == (State.ENDED, reason, NOON + 3)
    assert house.ends(reason) == 1
    assert await house.events() == [{"event": "ended", "reason": reason, "by": "room_finished", "attempt": 1}]


@pytest.mark.anyio
async def test_a_room_that_is_gone_after_its_session_ended_is_not_counted_again(house: House) -> None:
    await admit(house.store, a_session_in(State.READY))
    await house.hear(WebhookKind.ROOM_FINISHED)
    before = await house.session()
    await house.hear(WebhookKind.ROOM_FINISHED)
    assert await house.session() == before
    assert house.ends("not_joined") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("who", [CALLER, AGENT], ids=["its caller", "an agent"])
async def test_who_joins_a_session_that_is_over_is_sent_out(house: House, who: Participant) -> None:
    await admit(house.store, a_session_in(State.READY))
    await house.hear(WebhookKind.ROOM_FINISHED)
    await house.hear(WebhookKind.JOINED, who)
    assert house.rooms.deleted == ["session_a"] * 2  # at the end, and at the join


@pytest.mark.anyio
async def test_a_join_after_the_end_while_livekit_is_away_is_left_to_the_sweep(house: House) -> None:
    await admit(house.store, a_session_in(State.READY))
    await house.hear(WebhookKind.ROOM_FINISHED)
    house.rooms.away = True
    await house.hear(WebhookKind.JOINED, CALLER)
    assert (await house.session()).state is State.ENDED


@pytest.mark.anyio
async def test_a_hint_that_comes_twice_counts_once(house: House) -> None:
    await admit(house.store, a_session_in(State.READY))
    await house.hear(WebhookKind.JOINED, CALLER, id="EV_same")
    await house.hear(WebhookKind.LEFT, CALLER)
    await house.hear(WebhookKind.JOINED, CALLER, id="EV_same")
    assert (await house.session()).caller is CallerPresence.AWAY
    house.clock.seconds += REMEMBER_SECONDS
    await house.hear(WebhookKind.JOINED, CALLER, id="EV_same")
    assert (await house.session()).caller is CallerPresence.PRESENT


@pytest.mark.anyio
async def test_hints_without_an_id_are_all_heard(house: House) -> None:
    await admit(house.store, a_session_in(State.READY))
    await house.hear(WebhookKind.JOINED, CALLER, id="")
    await house.hear(WebhookKind.LEFT, CALLER, id="")
    assert (await house.session()).caller is CallerPresence.AWAY


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "room"),
    [
        pytest.param(None, ROOM, id="a webhook that means nothing here"),
        pytest.param(WebhookKind.ROOM_FINISHED, OpenRoom("meeting", "RM_x"), id="a room that is none of ours"),
        pytest.param(WebhookKind.ROOM_FINISHED, OpenRoom("session_gone", "RM_x"), id="a session that nobody knows"),
    ],
)
async def test_some_hints_change_nothing(house: House, kind: WebhookKind | None, room: OpenRoom) -> None:
    before = await admit(house.store, a_session_in(State.READY))
    await house.hear(kind, CALLER, room=room)
    assert await house.session() == before
    assert house.rooms.calls == []


@pytest.mark.anyio
async def test_an_adopted_room_is_known_by_its_sid(house: House) -> None:
    room = OpenRoom("support-call", "RM_support")
    adopted = replace(a_session(adopted_session_id(SECRET, room.sid), adopted=True), room=room.name)
    await admit(house.store, adopted)
    assert await session_of(house.store, SECRET, room) == adopted
    assert await session_of(house.store, SECRET, OpenRoom("support-call", "RM_other")) is None
    assert await session_of(house.store, "another secret", room) is None


@pytest.mark.parametrize(
    ("adopted", "who", "expected"),
    [
        pytest.param(False, CALLER, True, id="who has the caller's identity is the caller"),
        pytest.param(False, Participant("somebody"), False, id="who has another name is not"),
        pytest.param(True, Participant("somebody"), True, id="in a foreign room any person is the caller"),
        pytest.param(True, AGENT, False, id="but no agent"),
    ],
)
def test_who_the_caller_is(adopted: bool, who: Participant, expected: bool) -> None:
    assert is_caller(a_session(adopted=adopted), who) is expected


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(agent_identity("session_a", 1), True, id="the agent of an earlier attempt is"),
        pytest.param(agent_identity("session_a", 2), False, id="the agent is not"),
        pytest.param(agent_identity("session_a", 3), False, id="nor is its successor, of whom we do not know yet"),
        pytest.param(agent_identity("session_b", 1), False, id="nor another session's agent"),
        pytest.param(caller_identity("session_a"), False, id="nor the caller"),
    ],
)
def test_who_a_ghost_is(identity: str, expected: bool) -> None:
    assert is_ghost(a_session(attempt=2), Participant(identity)) is expected


@pytest.mark.parametrize(
    ("session", "caller"),
    [
        pytest.param(a_session(caller=CallerPresence.PRESENT), CallerPresence.PRESENT, id="who is there joins"),
        pytest.param(a_session(caller=CallerPresence.AWAY), CallerPresence.AWAY, id="who is away leaves"),
        pytest.param(a_session(), CallerPresence.AWAY, id="who never came leaves"),
        *(pytest.param(a_session_in(state), CallerPresence.PRESENT, id=f"it is {state}") for state in sorted(FINAL)),
    ],
)
def test_nothing_is_written_where_nothing_changes(session: Session, caller: CallerPresence) -> None:
    assert with_caller(session, caller, NOON + 1) is session


@pytest.mark.anyio
async def test_of_the_same_webhook_many_times_at_once_one_is_applied_and_the_others_are_counted(house: House) -> None:
    await admit(house.store, a_session_in(State.READY, caller=CallerPresence.PRESENT))
    hint = RoomWebhook("EV_1", WebhookKind.ROOM_FINISHED, ROOM)
    await asyncio.gather(*(house.webhooks.apply(hint) for _ in range(5)))
    assert house.ends("caller_left") == 1
    assert house.registry.get_sample_value("greenroom_webhooks_ignored_total", {"why": "repeated"}) == 4
