"""Starts the parts in their order, keeps them running and stops them; `greenroom up` runs it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from cli.up.child import Child
from cli.up.output import Output
from cli.up.parts import Part
from cli.up.reaper import Reaper
from runtime.background import Background, Failure, Policy

PROBE_SECONDS = 0.2  # between two questions whether a part is ready
REPORT_SECONDS = 10.0  # between two lines about a part that isn't ready yet
STEADY_SECONDS = 30.0  # a part that lived this long starts its backoff anew
ORPHAN_SECONDS = 5.0  # what a dead part's children get to report it and end; the worker's use it
BACKOFF_FIRST, BACKOFF_MOST = 0.5, 15.0  # seconds
DEATHS_AT_START = 3  # deaths in a row, before everything was ready once, that mean it never will be
TOLD_WRONGLY = 2  # the exit code of a part whose settings or files are at fault: trying again won't mend them


class GaveUp(Exception):
    """A part keeps dying before it was ever ready."""


def backoff(deaths: int) -> float:
    """Seconds to wait before a start that follows `deaths` deaths in a row: doubling, up to BACKOFF_MOST."""
    return min(BACKOFF_FIRST * 2.0 ** (deaths - 1), BACKOFF_MOST)


def how_it_ended(code: int) -> str:
    """The exit code `code` in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class Supervisor:
    """Runs `parts` until it is told to stop."""

    def __init__(
        self, parts: Sequence[Part], output: Output, reaper: Reaper, *, on_ready: Callable[[dict[str, int]], None]
    ) -> None:
        """`on_ready` is called with the process ids by name whenever all parts are ready, after a restart again."""
        self._parts = parts
        self._output = output
        self._reaper = reaper
        self._on_ready = on_ready
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._children: dict[str, Child] = {}
        self._tasks = Background("greenroom up", on_end=self._failed)
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._all_were_ready = False

    async def run(self, stop: asyncio.Event) -> None:
        """Start all parts and keep them until `stop`; then stop them, the last started first.

        Raises GaveUp, after stopping, when a part can't be got to run.
        """
        for part in self._parts:
            self._tasks.start(self._keep_or_give_up(part), part.name, policy=Policy.END)
        stopping = self._tasks.start(stop.wait(), "stop")
        try:
            waiting: list[asyncio.Future[Any]] = [stopping, self._over]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._tasks.close()
            await self._stop_all()
        if self._over.done():
            self._over.result()

    def _failed(self, failure: Failure) -> None:
        """A task of our own has failed: what it was to keep is kept no more, so everything is stopped."""
        self._end(GaveUp(f"greenroom up has failed ({failure.name}: {failure.where})"))

    def _end(self, why: GaveUp) -> None:
        if not self._over.done():
            self._over.set_exception(why)

    async def _keep_or_give_up(self, part: Part) -> None:
        try:
            await self._keep(part)
        except GaveUp as error:
            self._end(error)

    def kill(self) -> None:
        """Kill everything that runs, at once."""
        for child in self._children.values():
            child.kill()

    async def _keep(self, part: Part) -> None:
        """Start `part` when what it needs is ready, and again whenever it dies."""
        for need in part.needs:
            await self._ready[need].wait()
        clock = asyncio.get_running_loop().time
        deaths = 0
        while True:
            began = clock()
            child = self._start(part)
            probing = self._tasks.start(self._probe(part, again=deaths > 0), f"probe {part.name}", policy=Policy.END)
            try:
                code = await asyncio.shield(child.exited)
            finally:
                probing.cancel()
            self._ready[part.name].clear()
            self._sweep(child)
            if code == TOLD_WRONGLY and not self._all_were_ready:
                raise GaveUp(f"{part.name} can't run as it is set up")
            deaths = 1 if clock() - began > STEADY_SECONDS else deaths + 1
            if deaths >= DEATHS_AT_START and not self._all_were_ready:
                raise GaveUp(f"{part.name} died {deaths} times while starting, the last time with {how_it_ended(code)}")
            self._output.say(f"{part.name} died ({how_it_ended(code)}); starting it again in {backoff(deaths):g} s")
            await asyncio.sleep(backoff(deaths))

    def _start(self, part: Part) -> Child:
        """Start `part` once."""
        try:
            child = Child.start(
                part.command,
                {**os.environ, **part.environment},
                lambda line: self._output.line(part.name, line),
                self._reaper,
            )
        except OSError as error:
            raise GaveUp(f"{part.name} can't be started: {error}") from error
        self._children[part.name] = child
        return child

    async def _probe(self, part: Part, *, again: bool) -> None:
        """Ask until `part` is ready; say now and then what it is waiting for."""
        clock = asyncio.get_running_loop().time
        report_at = clock() + REPORT_SECONDS
        while True:
            try:
                reason = await part.ready()
            except OSError:  # TimeoutError is one, too
                reason = "it doesn't answer"
            if reason is None:
                break
            if clock() >= report_at:
                self._output.say(f"still waiting for {part.name}: {reason}")
                report_at += REPORT_SECONDS
            await asyncio.sleep(PROBE_SECONDS)
        self._ready[part.name].set()
        if again:
            self._output.say(f"{part.name} runs again")
        if all(event.is_set() for event in self._ready.values()):
            self._all_were_ready = True
            self._on_ready({name: each.pid for name, each in self._children.items()})

    def _sweep(self, child: Child) -> None:
        """End what a dead part left behind, without waiting for it."""
        self._tasks.start(child.sweep(ORPHAN_SECONDS), "sweep")

    async def _stop_all(self) -> None:
        """Stop every part, the last started first, so that nothing loses what it needs."""
        for part in reversed(self._parts):
            child = self._children.get(part.name)
            if child is not None and not child.exited.done() and not await child.stop(part.stop_seconds):
                self._output.say(f"{part.name} took too long to stop and was killed")
