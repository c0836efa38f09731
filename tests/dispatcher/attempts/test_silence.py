"""When silence means that an agent is lost, and when it means nothing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.attempts.silence import ASK_SECONDS, BELIEVED_SECONDS, JUST_SILENT_SECONDS, fell_silent, lives
from dispatcher.upkeep.fast_loop import GAP_SECONDS
from session.fence import agent_identity
from session.record import EndReason, Session, State, ended, lost
from session.store.ports import SILENT_SECONDS, Worker, update
from tests.dispatcher.house import House, a_house, a_watch, has_call, is_ready, looks
from tests.session.making import NOON, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def house() -> House:
    return a_house()


async def test_a_call_whose_agent_and_worker_are_silent_is_lost(house: House) -> None:
    await has_call(house)
    await house.worker()
    await looks(house, NOON + SILENT_SECONDS - 0.5)
    assert (await house.session()).state is State.READY
    await looks(house, NOON + SILENT_SECONDS + 0.5)
    session = await house.session()
    assert (session.state, session.job) == (State.RECOVERING, None)
    assert {"event": "agent_silent", "level": "error", "attempt": 1} in await house.events()


@pytest.mark.parametrize(
    ("beats", "talks"),
    [
        pytest.param(["worker_a"], [], id="its worker lives and would report its death"),
        pytest.param([], ["session_a"], id="it shows signs of life though its worker does not"),
        pytest.param(["worker_a"], ["session_a"], id="both do"),
    ],
)
async def test_a_call_goes_on_while(house: House, beats: Sequence[str], talks: Sequence[str]) -> None:
    await has_call(house)
    await house.worker()
    await looks(house, NOON + 20, beats=beats, talks=talks)
    assert (await house.session()).state is State.READY


async def test_a_silent_call_whose_worker_has_left_is_lost(house: House) -> None:
    await has_call(house)
    watch = a_watch(house)
    for _ in range(12):
        house.clock.seconds += 0.5
        await house.worker(left=True)
        await watch.run()
    assert (await house.session()).state is State.RECOVERING


class BrokenStore(MemoryStore):
    """One of its records cannot be written, for a reason that nobody foresaw."""

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        if session.id == "session_a":
            raise RuntimeError("nobody expects it")
        return await super().write(session, op=op, max_seats=max_seats)


async def test_a_silent_call_whose_trouble_nobody_foresaw_holds_up_no_other() -> None:
    house = a_house(BrokenStore)
    for name in ("session_a", "session_b"):
        await has_call(house, name)
    await looks(house, NOON + SILENT_SECONDS + 0.5)
    states = [(await house.session(name)).state for name in ("session_a", "session_b")]
    assert states == [State.READY, State.RECOVERING]


async def test_an_agent_that_lost_only_the_store_is_kept_as_long_as_it_answers_in_its_room(house: House) -> None:
    """Its worker is silent as well: their machine has no way to the store."""
    await has_call(house)
    house.rooms.answering = {agent_identity("session_a", 1)}
    await looks(house, NOON + 60)
    assert (await house.session()).state is State.READY
    asked = [what for what, _ in house.rooms.calls].count("ask")
    assert 10 < asked < 40
    house.rooms.answering.clear()
    await looks(house, house.clock.seconds + BELIEVED_SECONDS + ASK_SECONDS + 0.5)
    assert (await house.session()).state is State.RECOVERING


async def test_who_is_not_silent_for_long_is_not_asked(house: House) -> None:
    await has_call(house)
    await looks(house, NOON + 30, talks=["session_a"])
    assert [what for what, _ in house.rooms.calls if what == "ask"] == []


@pytest.mark.parametrize("worker", ["worker_unknown", None])
async def test_a_silent_call_of_a_worker_that_nobody_knows_is_lost(house: House, worker: str | None) -> None:
    await has_call(house, worker=worker)
    await looks(house, NOON + 6, beats=["worker_a"])
    assert (await house.session()).state is State.RECOVERING


async def test_after_nobody_watched_silence_means_nothing_for_a_while(house: House) -> None:
    """The store was away for a minute: no worker and no agent could say that it lives."""
    await has_call(house)
    await looks(house, NOON + 1, beats=["worker_a"], talks=["session_a"])
    house.clock.seconds += 60
    await looks(house, house.clock.seconds + SILENT_SECONDS - 0.5)
    assert (await house.session()).state is State.READY
    await looks(house, house.clock.seconds + 20, beats=["worker_a"], talks=["session_a"])
    assert (await house.session()).state is State.READY


async def test_a_short_gap_between_two_looks_suspends_nothing(house: House) -> None:
    await has_call(house)
    await looks(house, NOON + 6, beats=["worker_a"], talks=["session_a"])
    house.clock.seconds += GAP_SECONDS
    watch = a_watch(house)
    await watch.run()
    house.clock.seconds += GAP_SECONDS
    await watch.run()
    assert (await house.session()).state is State.RECOVERING


@pytest.mark.parametrize(("seconds", "judges"), [(0.0, 0.0), (SILENT_SECONDS, 1.0)])
async def test_whether_silence_is_judged_can_be_seen(house: House, seconds: float, judges: float) -> None:
    await looks(house, NOON + 0.5 + seconds)
    assert house.registry.get_sample_value("greenroom_judging") == judges


async def test_when_too_many_workers_fall_silent_at_once_it_is_not_their_fault(house: House) -> None:
    names = ["worker_a", "worker_b", "worker_c"]
    for name in names:
        await has_call(house, name.replace("worker", "session"), worker=name)
    await looks(house, NOON + 10, beats=names, talks=[name.replace("worker", "session") for name in names])
    await looks(house, house.clock.seconds + SILENT_SECONDS + JUST_SILENT_SECONDS, beats=["worker_c"])
    assert (await house.session("session_a")).state is State.READY
    await looks(house, house.clock.seconds + 1, beats=["worker_c"])
    assert (await house.session("session_a")).state is State.RECOVERING
    assert (await house.session("session_c")).state is State.READY


def heard(*ago: float, **changes: Any) -> list[Worker]:
    """Workers that were heard of so many seconds ago."""
    return [a_worker(f"worker_{number}", seen_at=NOON - each, **changes) for number, each in enumerate(ago)]


@pytest.mark.parametrize(
    ("workers", "many"),
    [
        pytest.param(heard(), False, id="there are none"),
        pytest.param(heard(6.0), False, id="the only one"),
        pytest.param(heard(6.0, 0.5), False, id="one of two"),
        pytest.param(heard(6.0, 6.0), True, id="both of two"),
        pytest.param(heard(6.0, 6.0, *[0.5] * 5), False, id="two of seven"),
        pytest.param(heard(6.0, 6.0, *[0.5] * 4), True, id="two of six"),
        pytest.param(heard(6.0, 6.0, 6.0, 0.5), True, id="three of four"),
        pytest.param(heard(20.0, 20.0, 20.0, 0.5), False, id="three of four, long ago"),
        pytest.param(heard(4.9, 4.9, 4.9), False, id="three, but not for long enough"),
        pytest.param(heard(6.0, 6.0, left=True), False, id="two that left in good order"),
    ],
)
def test_too_many_fell_silent_at_once(workers: list[Worker], many: bool) -> None:
    assert fell_silent(workers, NOON) is many


@pytest.mark.parametrize(
    ("worker_id", "workers", "alive"),
    [
        pytest.param("worker_0", heard(0.5), True, id="one that beats"),
        pytest.param("worker_0", heard(4.9), True, id="one that missed some"),
        pytest.param("worker_0", heard(5.0), False, id="not a silent one"),
        pytest.param("worker_0", heard(0.5, left=True), False, id="not one that left"),
        pytest.param("worker_1", heard(0.5), False, id="not one that nobody knows"),
        pytest.param(None, heard(0.5), False, id="not none"),
    ],
)
def test_who_lives(worker_id: str | None, workers: list[Worker], alive: bool) -> None:
    assert lives(worker_id, workers, NOON) is alive


class RacingStore(MemoryStore):
    """Something happens right after the silent, or the workers, were listed; `moment` says which."""

    moment = ""
    happen: Callable[[], Awaitable[Any]] | None = None
    noticed = False

    async def silent(self, seconds: float) -> Sequence[str]:
        silent = await super().silent(seconds)
        self.noticed = bool(silent)
        await self._now_or_never("silent")
        return silent

    async def workers(self, *, seen_within: float) -> Sequence[Worker]:
        workers = await super().workers(seen_within=seen_within)
        await self._now_or_never("workers")
        return workers

    async def _now_or_never(self, moment: str) -> None:
        if self.noticed and self.moment == moment and self.happen is not None:
            happen, self.happen = self.happen, None
            await happen()


async def raced(moment: str, happen: Callable[[House], Awaitable[Any]]) -> House:
    """Worker and agent fall silent, and this happens in the moment when that is noticed."""
    house = a_house(RacingStore)
    store = house.store
    assert isinstance(store, RacingStore)
    await has_call(house)
    await looks(house, NOON + 6, beats=["worker_a"], talks=["session_a"])
    store.moment, store.happen = moment, lambda: happen(house)
    await looks(house, house.clock.seconds + SILENT_SECONDS + 0.5)
    assert store.happen is None
    return house


MOMENTS = pytest.mark.parametrize("moment", ["silent", "workers"])


@MOMENTS
async def test_a_call_that_ends_in_that_moment_has_ended(moment: str) -> None:
    async def end(house: House) -> None:
        await update(house.store, "session_a", lambda each, now: ended(each, EndReason.FINISHED, now))

    house = await raced(moment, end)
    assert (await house.session()).end_reason is EndReason.FINISHED


@MOMENTS
async def test_an_agent_that_took_over_in_that_moment_is_not_judged_by_its_predecessors_silence(moment: str) -> None:
    async def take_over(house: House) -> None:
        await update(house.store, "session_a", lambda each, now: lost(each, job="job_a", now=now))
        again = replace(await house.session(), claimable=True, attempt=2)
        await house.worker("worker_b")
        await update(house.store, "session_a", lambda _, now: replace(is_ready(again, now), worker="worker_b"))

    house = await raced(moment, take_over)
    session = await house.session()
    assert (session.state, session.job) == (State.READY, "job_2")


@MOMENTS
async def test_two_that_notice_it_lose_it_once(moment: str) -> None:
    async def lose(house: House) -> None:
        await a_watch(house).run()

    house = await raced(moment, lose)
    session = await house.session()
    assert (session.recoveries, len(session.losses)) == (2, 1)
