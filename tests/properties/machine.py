"""Random interleavings of all that can happen to sessions, for hypothesis to drive; knows no store's insides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dispatcher.attempts.executor import AttemptExecutor
from tests.properties.world import SLOTS, Job, World

USERS = st.sampled_from([None, None, "ann", "bob"])
STEPS = st.sampled_from(["accept", "claim", "ready", "finish", "lose", "claim", "ready"])
JUMPS = st.sampled_from([0.05, 0.5, 2.1, 5.0, 13.0, 31.0, 70.0, 400.0])


class SessionsMachine(RuleBasedStateMachine):
    """The rules. A subclass says over which store: `open`."""

    attempts: type[AttemptExecutor] = AttemptExecutor
    may_jump_back = True

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world: World = self.run(self.open())

    async def open(self) -> World:
        """A world over a new store."""
        raise NotImplementedError

    async def close(self) -> None:
        """Give the store back."""

    def run(self, what: Awaitable[Any]) -> Any:
        """Let it happen."""

        async def awaited() -> Any:
            return await what

        return self.runner.run(awaited())

    @initialize()
    def a_worker_is_there(self) -> None:
        self.run(self.world.worker(slots=SLOTS, alive=True))

    @rule(slots=st.integers(0, 3), alive=st.sampled_from([True, True, True, False]))
    def worker_changes(self, slots: int, alive: bool) -> None:
        self.run(self.world.worker(slots=slots, alive=alive))

    @rule(user=USERS)
    def start(self, user: str | None) -> None:
        self._do(self.world.start(user))

    @rule()
    def reserve(self) -> None:
        self._do(self.world.reserve())

    @precondition(lambda self: self.world.rooms.promised)
    @rule(data=st.data(), what=st.sampled_from(["use_token", "take_up", "take_up"]))
    def a_reserved_token_is_used(self, data: st.DataObject, what: str) -> None:
        self._do(getattr(self.world, what)(data.draw(st.sampled_from(list(self.world.rooms.promised)))))

    @precondition(lambda self: self.world.rooms.asked)
    @rule(data=st.data())
    def a_dispatch_becomes_a_job(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(self.world.rooms.asked))
        self._do(self.world.deliver(*asked))

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data(), what=STEPS)
    def a_job_does_something(self, data: st.DataObject, what: str) -> None:
        job: Job = data.draw(st.sampled_from(self.world.jobs))
        self._do(getattr(self.world, what)(job))

    @precondition(lambda self: self.world.rooms.asked)
    @rule(data=st.data())
    def a_dispatch_goes_all_the_way(self, data: st.DataObject) -> None:
        """The usual case, which random steps would seldom put together."""
        session_id, attempt = data.draw(st.sampled_from(self.world.rooms.asked))

        async def whole() -> None:
            await self.world.deliver(session_id, attempt)
            job = self.world.jobs[-1]
            for step in (self.world.accept, self.world.claim, self.world.ready):
                await step(job)

        self._do(whole())

    @precondition(lambda self: len(self.world.jobs) > 1)
    @rule(data=st.data(), first=STEPS, second=STEPS)
    def two_jobs_at_once(self, data: st.DataObject, first: str, second: str) -> None:
        """The second comes between what the first reads and what it writes."""
        one: Job = data.draw(st.sampled_from(self.world.jobs))
        # Of the same session, if there is another: only those can meet.
        others = [job for job in self.world.jobs if job.session == one.session and job is not one] or self.world.jobs
        other: Job = data.draw(st.sampled_from(others))
        self.world.store.meanwhile = lambda: getattr(self.world, second)(other)
        self._do(getattr(self.world, first)(one))
        self.world.store.meanwhile = None

    @precondition(lambda self: self.world.rooms.asked)
    @rule(data=st.data())
    def a_dispatch_comes_twice_at_once(self, data: st.DataObject) -> None:
        """Two jobs with one ticket; the second claims between what the first reads and what it writes."""
        asked = data.draw(st.sampled_from(self.world.rooms.asked))

        async def both() -> None:
            await self.world.deliver(*asked)
            await self.world.deliver(*asked)
            one, other = self.world.jobs[-2:]
            self.world.store.meanwhile = lambda: self.world.claim(other)
            await self.world.claim(one)
            self.world.store.meanwhile = None

        self._do(both())

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data(), what=STEPS)
    def a_dispatcher_and_a_job_at_once(self, data: st.DataObject, what: str) -> None:
        job: Job = data.draw(st.sampled_from(self.world.jobs))
        self.world.store.meanwhile = lambda: getattr(self.world, what)(job)
        self._do(self.world.handle_due(job.session))
        self.world.store.meanwhile = None

    @precondition(lambda self: self.world.ids)
    @rule(data=st.data())
    def two_dispatchers_at_once(self, data: st.DataObject) -> None:
        session_id = data.draw(st.sampled_from(self.world.ids))
        self.world.store.meanwhile = lambda: self.world.see_to_elsewhere(session_id)
        self._do(self.world.handle_due(session_id))
        self.world.store.meanwhile = None

    @precondition(lambda self: self.world.ids)
    @rule(
        data=st.data(),
        what=st.sampled_from(["handle_due", "handle_due", "stop", "caller_joins", "sweep", "judge_silent"]),
    )
    def something_happens_to_a_session(self, data: st.DataObject, what: str) -> None:
        session_id = data.draw(st.sampled_from(self.world.ids))
        self._do(getattr(self.world, what)(session_id))

    @rule()
    def the_line_moves(self) -> None:
        self._do(self.world.advance_line())

    @rule(seconds=JUMPS)
    def time_goes_on(self, seconds: float) -> None:
        self.world.advance(seconds)

    @precondition(lambda self: self.may_jump_back)
    @rule(seconds=st.sampled_from([0.5, 5.0, 60.0]))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.world.advance(-seconds)

    @rule(after=st.integers(0, 3), done_first=st.booleans())
    def a_step_soon_crashes(self, after: int, done_first: bool) -> None:
        self.world.store.after, self.world.store.done_first = after, done_first

    @rule(away=st.booleans())
    def livekit_goes_or_comes(self, away: bool) -> None:
        self.world.rooms.away = away

    @invariant()
    def all_is_well(self) -> None:
        self.run(self.world.check())

    def teardown(self) -> None:
        try:
            self.run(self.world.settle())
            self.run(self.world.check())
        finally:
            self.run(self.close())
            self.runner.close()

    def _do(self, what: Awaitable[None]) -> None:
        self.run(what)
        self.run(self.world.find_sessions())
