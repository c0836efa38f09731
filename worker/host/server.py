"""The worker as LiveKit sees it: registers, accepts or declines jobs, reports processes that died; run.py makes it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from livekit.agents import AgentServer, JobRequest

from runtime.background import Background, report
from runtime.retry import retry
from session.errors import BadMetadata, NoCapacity, SessionError, SessionNotFound, Stale, StoreUnavailable
from session.fence import Ticket, adopted_session_id, agent_identity, check_room, read_ticket, reserved
from session.record import STEP_SECONDS, AttemptStep, Session, accepted, lost
from session.reservation import taken_up
from session.store.ports import Store, update
from session.timing import SESSION_END_SECONDS, SHUTDOWN_SECONDS
from worker import refused_claims
from worker.process import job
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

FULL_LOAD = 0.69  # reported with every slot taken; livekit-server sends nothing to a worker at 0.7 (its target_load)
INITIALIZE_SECONDS = 60.0  # the first process waits for the forkserver to load every model
ASK_SECONDS = 1.5  # for the store, before a job is accepted: livekit-server waits for the answer for 3 s
REPORT_PAUSE = 0.3  # seconds between two tries to report a death


class Slots:
    """Which jobs this worker has taken; a job holds its slot from its acceptance until its process is gone.

    Attributes:
        total: how many there are.
        cordoned: an operator ordered that no new job is taken.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.cordoned = False
        self._taken: set[str] = set()

    def take(self, job_id: str) -> bool:
        """Take a slot for this job; gives whether there was one."""
        if self.cordoned or len(self._taken) >= self.total:
            return False
        self._taken.add(job_id)
        return True

    def give_back(self, job_id: str) -> None:
        """The job's process is gone, or it never came to one."""
        self._taken.discard(job_id)

    @property
    def load(self) -> float:
        """What to report to livekit-server."""
        return FULL_LOAD * min(1.0, len(self._taken) / self.total)


def make_server(settings: WorkerSettings, slots: Slots, accept: Callable[[JobRequest], Any]) -> AgentServer:
    """LiveKit's agent server with our functions in it; not running yet."""

    def load(_: AgentServer) -> float:
        return slots.load

    server = AgentServer(
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        port=0,  # of LiveKit's own page, which cannot fail: ours is in health_page.py
        host="127.0.0.1",
        num_idle_processes=settings.pool_size,
        load_fnc=load,
        load_threshold=float("inf"),  # admission is ours: a finite one would rewrite the idle target twice a second
        drain_timeout=int(settings.drain_seconds),
        initialize_process_timeout=INITIALIZE_SECONDS,
        job_memory_warn_mb=0,
        job_memory_limit_mb=settings.memory_limit,
        session_end_timeout=SESSION_END_SECONDS,
        shutdown_process_timeout=SHUTDOWN_SECONDS,
        max_retry=2**31,  # the library gives up after 16 and takes its calls along; ours outlive any server restart
        preload_modules=["worker.process.forkserver", "worker.process.preload"],
        setup_fnc=job.setup,
        log_level="WARN",
    )
    server.rtc_session(
        job.entrypoint, agent_name=settings.agent_name, on_request=accept, on_session_end=job.session_end
    )
    return server


class JobAcceptor:
    """Accepts a job when there is a slot and its ticket is current; a refusal costs no process. Reports deaths.

    Args:
        store: where acceptances and deaths are written.
        slots: of this worker.
        settings: for the secret that adopted ids are made with, and MAX_BOTS.
        worker_id: this worker's.
    """

    def __init__(self, store: Store, slots: Slots, settings: WorkerSettings, worker_id: str) -> None:
        self._store, self._slots, self._settings, self._worker_id = store, slots, settings, worker_id
        self._tasks = Background(f"worker {worker_id}")

    async def accept(self, request: JobRequest) -> None:
        """Answer LiveKit's question whether this worker takes the job."""
        if not self._slots.take(request.job.id):
            why = "cordoned" if self._slots.cordoned else "no_slot"
            logger.info("room=%s event=declined why=%s", request.room.name, why)
            await request.reject(terminate=False)  # by default no other worker would be asked
            return
        try:
            session_id, attempt = await self._current(request)
        except SessionError as error:
            self._slots.give_back(request.job.id)
            logger.warning("room=%s event=declined why=%s", request.room.name, type(error).__name__)
            # "terminate" so that the server does not offer what is stale to the next worker
            await request.reject(terminate=isinstance(error, Stale | BadMetadata))
            await refused_claims.count(self._store, error)
            return
        except Exception as error:  # noqa: BLE001 - LiveKit would swallow it, and the slot would be taken for ever
            self._slots.give_back(request.job.id)
            report(f"worker {self._worker_id}", "accept", error)
            await request.reject(terminate=False)
            return
        try:
            await request.accept(identity=agent_identity(session_id, attempt), name="Greenroom")
        except Exception:
            self.job_closed(request.job, None)  # it was given to nobody, or to a process that could not be had
            raise

    async def _current(self, request: JobRequest) -> tuple[str, int]:
        ticket = read_ticket(request.job.metadata)
        if ticket is None:
            return self._session_id(request.job), 1
        job, worker = request.job.id, self._worker_id

        def change(session: Session, now: float) -> Session:
            check_room(session, request.room.name)
            return accepted(session, attempt=ticket.attempt, job=job, worker=worker, now=now)

        async def accept() -> None:
            try:
                await update(self._store, ticket.session_id, change)
            except SessionNotFound:
                await self._take_up(ticket, request.room.name)
                await update(self._store, ticket.session_id, change)

        await retry(accept, ASK_SECONDS, on=StoreUnavailable)
        return ticket.session_id, ticket.attempt

    async def _take_up(self, ticket: Ticket, room: str) -> None:
        """Record a session that its job brings along: no dispatcher has met its caller so far.

        Raises:
            SessionNotFound: it is over, or its token has run out, or there is none.
            NoCapacity: others wait already, or every seat is taken: a dispatcher gives it its place in the queue.
            TooManySessions: its owner has as many as it may have: a dispatcher tells the page.
        """
        now = await self._store.now()
        reservation = reserved(ticket, room, now)
        if reservation is None:
            raise SessionNotFound
        if await self._store.queue():
            raise NoCapacity
        deadline = now + STEP_SECONDS[AttemptStep.DISPATCHED]
        session = taken_up(ticket.session_id, reservation, now, deadline=deadline)
        most = reservation.max_owned
        await self._store.start(session, max_seats=self._settings.max_bots, op=f"reserve-{session.id}", max_owned=most)
        await self._store.log(session.id, str(session.state), agent=session.agent, by="worker")

    def job_closed(self, job: Any, exitcode: int | None) -> None:
        """This job's process is gone, or there never was one; if its session still counts on it, it is lost."""
        self._slots.give_back(job.id)
        self._tasks.start(self._report(job, exitcode), f"report {job.id}")

    async def reported(self) -> None:
        """Return when every death so far is written down."""
        await self._tasks.settled()

    async def _report(self, job: Any, exitcode: int | None) -> None:
        """Write the death down, however long the store is away: the call waits for another agent."""

        def change(session: Session, now: float) -> Session:
            return lost(session, job=job.id, now=now)

        try:
            session_id = self.session_of(job)
            await retry(
                lambda: update(self._store, session_id, change), math.inf, on=StoreUnavailable, pause=REPORT_PAUSE
            )
            logger.error("session=%s event=agent_lost exitcode=%s", session_id, exitcode)
        except Stale:
            logger.debug("room=%s event=process_closed exitcode=%s", job.room.name, exitcode)  # its call was over
        except SessionError as error:
            logger.info("room=%s event=death_not_recorded why=%s", job.room.name, type(error).__name__)

    def session_of(self, job: Any) -> str:
        """The id of the session that this job is for. Raises BadMetadata."""
        ticket = read_ticket(job.metadata)
        return ticket.session_id if ticket is not None else self._session_id(job)

    def _session_id(self, job: Any) -> str:
        return adopted_session_id(self._settings.livekit_api_secret.get_secret_value(), job.room.sid)
