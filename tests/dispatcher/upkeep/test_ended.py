"""Each end is counted once over all dispatchers, whoever wrote it, and none is lost with the one that read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from dispatcher.observe.metrics import Metrics
from dispatcher.starts.circuit import StartCircuit
from dispatcher.upkeep.ended import EndedFollower, counting
from runtime.background import Background, keep_going
from session.errors import StoreUnavailable, UnreadableRecord
from session.record import EndReason, ErrorReason, Session, ended, failed
from session.store.ports import REDELIVERY_SECONDS, Ended, StartReport
from session.store.redis.store import open_store
from tests.dispatcher.fakes import Clock
from tests.session.making import NOON, Store, a_session, admit, eventually
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
ENDS = 40


async def end(store: Store, session_id: str) -> None:
    """As an agent does: without the dispatcher."""
    session = await admit(store, a_session(session_id))
    await store.write(ended(session, EndReason.FINISHED, NOON), op=f"end {session_id}")


class Counted:
    """What one dispatcher has counted; fails as often as it is told."""

    def __init__(self, fails: int = 0, error: Exception | None = None) -> None:
        self.ends: Counter[str] = Counter()
        self.fails, self.error = fails, error or RuntimeError("nobody expects it")

    async def __call__(self, session: Session) -> None:
        if self.fails:
            self.fails -= 1
            raise self.error
        self.ends[session.id] += 1


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, valkey_url: str, namespace: str) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(lambda: NOON)
    else:
        async with open_store(valkey_url, namespace=namespace, keep_seconds=60) as opened:
            yield opened


async def test_two_dispatchers_count_every_end_once_between_them(store: Store) -> None:
    counts = [Counted(), Counted()]
    followers = [EndedFollower(store, "dispatchers", each) for each in counts]
    for follower in followers:
        await follower.step()
    tasks = Background("test")
    for follower in followers:
        tasks.start(keep_going(follower.step, "ended"), "ended")
    for number in range(ENDS):
        await end(store, f"session_{number}")

    async def all_counted() -> bool:
        return sum(each.ends.total() for each in counts) >= ENDS

    await eventually(all_counted)
    await tasks.close()
    assert counts[0].ends + counts[1].ends == Counter({f"session_{number}": 1 for number in range(ENDS)})


@pytest.mark.parametrize("error", [RuntimeError("nobody expects it"), UnreadableRecord()])
async def test_what_a_dispatcher_could_not_handle_holds_up_no_other_and_is_handled_later(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(NOON)
    store, counted = MemoryStore(clock), Counted(1, error)
    follower = EndedFollower(store, "dispatchers", counted)
    await follower.step()
    for name in ("session_a", "session_b"):
        await end(store, name)
    await follower.step()
    assert counted.ends == {"session_b": 1}
    clock.seconds += REDELIVERY_SECONDS
    await follower.step()
    assert counted.ends == {"session_a": 1, "session_b": 1}
    assert f"task=ended error={type(error).__name__} at " in caplog.text


async def test_what_a_dead_dispatcher_had_read_is_handled_by_another(valkey_url: str, namespace: str) -> None:
    stream, counted = f"greenroom:{namespace}:outgoing", Counted()
    async with (
        open_store(valkey_url, namespace=namespace, keep_seconds=60) as store,
        Redis.from_url(valkey_url, decode_responses=True) as client,
    ):
        await store.ended("dispatchers", "dead", wait=0.01)
        await end(store, "session_a")
        (read,) = await store.ended("dispatchers", "dead", wait=0.01)
        follower = EndedFollower(store, "dispatchers", counted)
        await follower.step()
        assert counted.ends == {}
        idle = round(REDELIVERY_SECONDS * 1000)
        await client.xclaim(stream, "dispatchers", "dead", 0, [read.entry], idle=idle, justid=True)
        await follower.step()
        assert counted.ends == {"session_a": 1}
        assert (await client.xpending(stream, "dispatchers"))["pending"] == 0


class ForgetfulStore(MemoryStore):
    """Is away when the first end is acknowledged, and when the first start is reported to its circuit."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.fails = {"acknowledge": 0, "report": 0}

    async def acknowledge(self, group: str, ended: Collection[Ended]) -> None:
        if ended:
            self._fail("acknowledge")
        await super().acknowledge(group, ended)

    async def report_circuit(self, circuit: str, report: StartReport, *, session_id: str) -> None:
        self._fail("report")
        await super().report_circuit(circuit, report, session_id=session_id)

    def _fail(self, what: str) -> None:
        if self.fails[what]:
            self.fails[what] -= 1
            raise StoreUnavailable


@pytest.mark.parametrize("what", ["acknowledge", "report"])
async def test_an_end_is_counted_once_though_the_store_is_away_meanwhile(what: str) -> None:
    clock, registry = Clock(NOON), CollectorRegistry()
    store = ForgetfulStore(clock)
    follower = EndedFollower(store, "dispatchers", counting(Metrics(registry), StartCircuit(store)))
    await follower.step()
    session = await admit(store, a_session())
    await store.write(failed(session, ErrorReason.NOT_CLAIMED, NOON), op="end")
    store.fails[what] = 1
    for _ in range(3):
        await follower.step()
        clock.seconds += REDELIVERY_SECONDS
    assert store.fails[what] == 0
    assert registry.get_sample_value("greenroom_sessions_ended_total", {"reason": "not_claimed"}) == 1
