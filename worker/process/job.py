"""What runs in a job's process: the claim, then the call; LiveKit's job machinery calls these functions.

They are passed to other processes by name, so they are plain functions of this module.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from livekit.agents import JobContext, JobProcess
from livekit.protocol.agent import Job

from runtime import log
from runtime.background import Background, report
from runtime.retry import retry
from session.errors import SessionError, Stale, StoreUnavailable
from session.fence import adopted_session_id, check_room, read_ticket, requested_agent
from session.record import STEP_SECONDS, AttemptStep, Session, State, claimed, lost
from session.store.ports import update
from session.store.redis.store import RedisStore, open_store
from session.timing import ABANDON_SECONDS, CANCEL_SECONDS, GONE_SECONDS, LOG_SECONDS
from worker import refused_claims
from worker.call.caller_patience import Patience
from worker.call.waterfall import Waterfall
from worker.host import turnstile
from worker.process import native
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from pipeline.resume.restore import Restored
    from worker.call.call import RoomCall
    from worker.process.warm import Warm

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 8.0  # a claim takes 3 ms; on an overloaded machine the store may miss a few of its own deadlines
FORCED = 70  # exit code of a process that had to be ended: an internal software error, as sysexits.h has it


class NotPreloaded(RuntimeError):
    """The forkserver did not load worker.process.preload; its own log says why."""


def setup(process: JobProcess) -> None:
    """Finish the warming of an idle process, and prove that the forkserver did the rest.

    Raises:
        NotPreloaded: this process would have to load every model by itself.
    """
    forked = sys.platform.startswith("linux")
    if forked and "worker.process.preload" not in sys.modules:
        raise NotPreloaded(
            "the forkserver could not import its preload: run `python -m worker.process.preload` in its environment"
        )
    from worker.process.preload import WARM

    log.quiet_libraries()
    log.drop_expected()
    native.start()
    process.userdata["warm"] = WARM
    process.userdata["settings"] = WARM.worker


async def entrypoint(ctx: JobContext) -> None:
    """Start the call as a task that is held, and return: a blocked entrypoint never hears of a shutdown."""
    running = Running(ctx, time.monotonic(), go_within)
    ctx.proc.userdata["running"] = running
    running.begin()


async def session_end(ctx: JobContext) -> None:
    """Close the call while its room is still connected; LiveKit's job machinery calls this whatever ended the job."""
    await ctx.proc.userdata["running"].close()


class Running:
    """One job from claim to close.

    Args:
        ctx: LiveKit's job.
        started: when its entrypoint was called, seconds of the monotonic clock.
        go_within: ends this process after so many seconds, whatever happens.
    """

    def __init__(self, ctx: JobContext, started: float, go_within: Callable[[float], None]) -> None:
        self._ctx, self._started, self._go_within = ctx, started, go_within
        self._stack = AsyncExitStack()
        self._store: RedisStore | None = None
        self._call: RoomCall | None = None
        self._closing = False
        self._tasks = Background(f"job {ctx.job.id}")

    def begin(self) -> asyncio.Task[None]:
        """Start `run` as a task that is held."""
        return self._tasks.start(self.run(), "call")

    async def run(self) -> None:
        """Claim the session and take the call; without a claim be silent and leave."""
        try:
            await self._take()
        except asyncio.CancelledError:
            if not self._closing:  # LiveKit's machinery cancels everything when the worker's process has died
                await self._abandon()
            raise
        except Exception as error:  # noqa: BLE001 - the job ends here, whatever failed
            if self._call is not None:
                self._call.failed(error)
            else:  # the worker reports the loss once this process is gone, and another attempt is made
                report(f"job {self._ctx.job.id}", "claim", error)
                self._ctx.shutdown(reason="the claim failed")

    async def _take(self) -> None:
        settings: WorkerSettings = self._ctx.proc.userdata["settings"]
        try:
            store = self._store = await self._stack.enter_async_context(
                open_store(
                    settings.redis_url.get_secret_value(),
                    namespace=settings.namespace,
                    keep_seconds=settings.keep_seconds,
                )
            )
            worker = settings.worker_id or self._ctx.worker_id
            async with asyncio.timeout(CLAIM_SECONDS):
                session = await retry(
                    lambda: claim(store, self._ctx.job, worker, settings), CLAIM_SECONDS, on=StoreUnavailable
                )
                now = await retry(store.now, CLAIM_SECONDS, on=StoreUnavailable)
                from worker.process.warm import renewed  # loaded before the fork, like RoomCall below

                warm = renewed(self._ctx.proc.userdata["warm"])
                before = await self._recall(store, session, warm) if session.recoveries else None
        except (SessionError, TimeoutError) as error:
            logger.warning("room=%s event=claim_refused why=%s", self._ctx.job.room.name, type(error).__name__)
            if self._store is not None:
                await refused_claims.count(self._store, error)  # before the shutdown, which cancels this
            self._ctx.shutdown(reason="claim refused")
            return
        waterfall, passage = self._waterfall(session, now), turnstile.passage(recovery=session.recoveries > 0)
        await passage.wait()
        waterfall.mark("passed")
        from worker.call.call import RoomCall  # loaded before the fork; the worker's parent never needs it

        self._call = RoomCall(
            self._ctx,
            store,
            session,
            warm,
            patience(settings),
            waterfall,
            before,
            passage.over,
        )
        await self._call.run()

    async def close(self) -> None:
        """End the call, if there is one; a start that is still under way goes no further."""
        self._closing = True
        self._go_within(GONE_SECONDS)
        await self._tasks.close(seconds=CANCEL_SECONDS)
        if self._call is not None:
            try:
                await self._call.close()
            except asyncio.CancelledError:  # the worker has died in the meantime
                await self._abandon()
                raise
        await self._stack.aclose()

    async def _recall(self, store: RedisStore, session: Session, warm: Warm) -> Restored | None:
        """Where the agent before left off. Raises StoreUnavailable: without the store nothing is claimed."""
        from worker.call.checkpoints import recall

        agent = warm.agents.get(session.agent)
        tools = () if agent is None else agent.resolve(warm.settings).tools
        return await recall(store, session, {tool.name for tool in tools if tool.repeatable})

    async def _abandon(self) -> None:
        """Say that this job dies with its worker: before it has a call, it may have been claimed all the same."""
        self._go_within(GONE_SECONDS)
        with suppress(TimeoutError, SessionError):
            async with asyncio.timeout(ABANDON_SECONDS):
                if self._call is not None:
                    await self._call.abandon()
                elif self._store is not None:
                    store, settings = self._store, self._ctx.proc.userdata["settings"]
                    await retry(lambda: give_up(store, self._ctx.job, settings), ABANDON_SECONDS, on=StoreUnavailable)
        logger.error("room=%s event=worker_died", self._ctx.job.room.name)

    def _waterfall(self, session: Session, now: float) -> Waterfall:
        """Steps count from the request; from the dispatch where the session waited for its caller first."""
        claimed_at = time.monotonic()
        requested = session.created_at if session.steps else now - (claimed_at - self._started)
        waterfall = Waterfall(zero=claimed_at - (now - requested))
        waterfall.mark("dispatch", self._started)
        waterfall.mark("claim", claimed_at)
        return waterfall


def go_within(seconds: float) -> None:
    """Let this process end by itself, or end it after so many seconds: with a line in the log, and not as a success."""

    def exit_now() -> None:
        logger.error("event=forced_exit after_seconds=%g", seconds)
        time.sleep(LOG_SECONDS)
        os._exit(FORCED)

    watchdog = threading.Timer(seconds, exit_now)
    watchdog.daemon = True
    watchdog.start()


def patience(settings: WorkerSettings) -> Patience:
    """How long calls wait, from the settings."""
    return Patience(
        join=settings.join_seconds,
        dropped=settings.caller_grace,
        hung_up=settings.hangup_grace,
        whole=settings.max_session_seconds,
        ask=settings.silence_ask,
        silent=settings.silence_seconds,
    )


async def claim(store: RedisStore, job: Job, worker: str, settings: WorkerSettings) -> Session:
    """Make this job the one agent of its session; a room that somebody else made becomes a session.

    Args:
        store: where sessions are kept.
        job: LiveKit's, with our ticket in its metadata or none.
        worker: who runs it.
        settings: for seats and the secret that adopted ids are made with.

    Raises:
        Stale: another agent has this attempt, or the session has moved on.
        BadMetadata: the ticket is not ours, or is for another room.
        SessionError: there is no such session, no free seat, or no store.
    """
    ticket = read_ticket(job.metadata)
    if ticket is None:
        return await _adopt(store, job, worker, settings)

    def change(session: Session, now: float) -> Session:
        check_room(session, job.room.name)
        return claimed(session, attempt=ticket.attempt, job=job.id, worker=worker, now=now)

    return await update(store, ticket.session_id, change, max_seats=settings.max_bots)


async def give_up(store: RedisStore, job: Job, settings: WorkerSettings) -> None:
    """Let the next attempt begin at once: this job's process dies with its worker, before it has a call.

    Raises:
        SessionError: the job has no part in its session, or there is no store.
    """
    ticket = read_ticket(job.metadata)
    session_id = _adopted_id(job, settings) if ticket is None else ticket.session_id
    if settings.worker_id is not None:
        await store.gone(settings.worker_id)
    await update(store, session_id, lambda session, now: lost(session, job=job.id, now=now))


def _adopted_id(job: Job, settings: WorkerSettings) -> str:
    return adopted_session_id(settings.livekit_api_secret.get_secret_value(), job.room.sid)


async def _adopt(store: RedisStore, job: Job, worker: str, settings: WorkerSettings) -> Session:
    now = await store.now()
    session = Session(
        id=_adopted_id(job, settings),
        room=job.room.name,
        state=State.STARTING,
        created_at=now,
        since=now,
        last_active=now,
        agent=requested_agent(job.metadata) or "default",
        attempt=1,
        tries=1,
        accepted=job.id,
        job=job.id,
        worker=worker,
        progress_at=now,
        deadline=now + STEP_SECONDS[AttemptStep.CLAIMED],
        adopted=True,
    )
    stands = (await store.start(session, max_seats=settings.max_bots, op=job.id)).session
    if stands.job != job.id:
        raise Stale
    return stands
