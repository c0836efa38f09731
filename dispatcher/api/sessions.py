"""The routes of sessions: start, stop, read; they turn HTTP into calls of starts/start.py."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request

from dispatcher.access.addresses import Network, client_address
from dispatcher.api.schemas import (
    LogsAnswer,
    SessionAnswer,
    SessionBody,
    SessionFacts,
    SessionsAnswer,
    StartAnswer,
    StartBody,
    StopAnswer,
    TimingsAnswer,
    TimingStep,
    TranscriptAnswer,
    TranscriptItem,
    facts,
)
from dispatcher.errors import FAILED, BadRequest
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.admission import estimated_wait
from dispatcher.starts.idempotency import KEY_PATTERN, once
from dispatcher.starts.permit import Permits
from dispatcher.starts.start import StartedSession, StartRequest, Starts
from session.errors import SessionError, StoreUnavailable
from session.record import JOINABLE, State
from session.store.ports import LOG_LINES, SessionStore

OWNER = ""  # of every session, as long as there are no API keys
MAX_WAIT_MS = 10_000  # that an answer may be asked to wait for `ready`
WARM_SECONDS = 0.5  # estimate of a start with a warm process: 0.42 s to the agent in its room
COLD_SECONDS = 2.0  # and without one: a fork, and its share of a burst of ten

# What docs/api.md says of the parameters.
WAIT_MS = "Milliseconds for which the answer waits for `ready`."
KEY = "Names this request, so that asking again begins no second session; up to 255 printable characters."
STATUS = "Only sessions in this state; by default all that are queued or have a seat."
LINES = "How many lines at most, the newest; 50 by default."


@dataclass(frozen=True, slots=True)
class SessionRoutes:
    """Routes over these parts. `trusted`: the proxies that are believed where a request comes from."""

    store: SessionStore
    starts: Starts
    permits: Permits
    metrics: Metrics
    trusted: Sequence[Network] = ()

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/api/session/start", self.start, methods=["POST"])
        router.add_api_route("/api/session/stop", self.stop, methods=["POST"])
        router.add_api_route("/api/session/{session_id}", self.show, methods=["GET"])
        router.add_api_route("/api/session/{session_id}/transcript", self.transcript, methods=["GET"])
        router.add_api_route("/api/session/{session_id}/logs", self.logs, methods=["GET"])
        router.add_api_route("/api/session/{session_id}/timings", self.timings, methods=["GET"])
        router.add_api_route("/api/sessions", self.sessions, methods=["GET"])
        return router

    async def start(
        self,
        request: Request,
        body: StartBody | None = None,
        wait_ms: Annotated[int | None, Query(alias="waitMs", ge=0, le=MAX_WAIT_MS, description=WAIT_MS)] = None,
        key: Annotated[str | None, Header(alias="Idempotency-Key", pattern=KEY_PATTERN, description=KEY)] = None,
    ) -> StartAnswer:
        """Start a session, or give the user's live one again, or that of the same request."""
        began = time.monotonic()
        body = body or StartBody()
        try:
            begun = await self._begin(body, self._address(request), key=key, wait_ms=wait_ms)
        except SessionError as error:
            self.metrics.refused(error)
            raise
        outcome: Literal["new", "reused", "repeated"] = (
            "repeated" if begun.repeated else "reused" if begun.reused else "new"
        )
        self.metrics.started(outcome, time.monotonic() - began)
        if begun.session.error is not None and not begun.repeated:
            raise FAILED[begun.session.error]
        return _start_answer(begun, self.starts.rooms.url, self.starts.queue_seconds)

    async def _begin(self, body: StartBody, address: str, *, key: str | None, wait_ms: int | None) -> StartedSession:
        """Start with a permit; what no new session needed is given back."""
        wish = _wish(body)
        repeat = once(key, owner=OWNER, body=body) if key is not None else None
        permit = self.permits.permit(address, owner=OWNER, user_id=wish.user_id)
        try:
            return await self.starts.start(wish, wait_ms=wait_ms, permit=permit, once=repeat)
        except SessionError as error:
            if not isinstance(error, StoreUnavailable):  # it would not answer this either, and the caller waits
                await permit.give_back()
            raise

    def _address(self, request: Request) -> str:
        peer = request.client.host if request.client is not None else None
        return client_address(peer, ",".join(request.headers.getlist("x-forwarded-for")), self.trusted)

    async def stop(self, body: SessionBody) -> StopAnswer:
        """End a session."""
        await self.starts.stop(body.session_id)
        return StopAnswer()

    async def show(self, session_id: str) -> SessionAnswer:
        """A session's record; asking for it keeps it from being idle."""
        await self.store.touch(session_id)
        return SessionAnswer.model_validate(facts(await self.store.get(session_id)))

    async def sessions(
        self,
        status: Annotated[State | None, Query(description=STATUS)] = None,
        limit: Annotated[int, Query(ge=1, le=200, description="How many at most, 50 by default.")] = 50,
        cursor: Annotated[str | None, Query(description="The `cursor` of the page before.")] = None,
    ) -> SessionsAnswer:
        """Sessions, newest first; the live ones where no status is asked for: seated, or in the queue."""
        try:
            page = await self.store.page(JOINABLE if status is None else {status}, limit=limit, cursor=cursor)
        except ValueError:
            raise BadRequest("cursor: is none that this server gave out.") from None
        shown = [SessionFacts.of(each) for each in page.sessions]
        return SessionsAnswer(count=len(shown), sessions=shown, cursor=page.cursor)

    async def transcript(self, session_id: str) -> TranscriptAnswer:
        """What was said so far."""
        await self.store.get(session_id)
        said = await self.store.transcript(session_id)
        items = [
            TranscriptItem(speaker=each.speaker, text=each.text, at=each.at, interrupted=each.interrupted)
            for each in said
        ]
        return TranscriptAnswer(session_id=session_id, items=items)

    async def logs(
        self,
        session_id: str,
        limit: Annotated[int, Query(ge=1, le=LOG_LINES, description=LINES)] = LOG_LINES // 2,
    ) -> LogsAnswer:
        """What happened to the session, oldest first."""
        await self.store.get(session_id)
        lines = await self.store.logs(session_id, limit=limit)
        return LogsAnswer(session_id=session_id, logs=[dict(line) for line in lines])

    async def timings(self, session_id: str) -> TimingsAnswer:
        """The waterfall of the start."""
        session = await self.store.get(session_id)
        steps = sorted(session.steps.items(), key=lambda step: step[1])
        shown = [TimingStep(name=name, ms=ms) for name, ms in steps]
        return TimingsAnswer(session_id=session_id, attempt=session.attempt, steps=shown)


def _wish(body: StartBody) -> StartRequest:
    config = {} if body.config is None else body.config.model_dump(exclude_none=True)
    return StartRequest(
        user_id=body.user_id or None,
        user_name=body.user_name,
        agent=body.agent or "default",
        metadata=body.metadata or {},
        config=config,
    )


def _start_answer(begun: StartedSession, url: str, queue_seconds: float) -> StartAnswer:
    session = begun.session
    message = "Session ready" if session.state is State.READY else f"Session {session.state}"
    waits = {State.STARTING: WARM_SECONDS if session.prewarmed else COLD_SECONDS, State.RECOVERING: COLD_SECONDS}
    if session.state is State.QUEUED:
        waits[State.QUEUED] = estimated_wait(begun.position or 1, begun.slots, queue_seconds)
    return StartAnswer(
        session_id=session.id,
        status=session.state,
        prewarmed=session.prewarmed,
        reused=begun.reused,
        message="Using existing session" if begun.reused else message,
        estimated_wait=waits.get(session.state, 0.0),
        queue_position=begun.position,
        task_id=begun.task,
        room_name=session.room,
        url=url,
        token=begun.token,
    )
