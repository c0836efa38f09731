"""The routes of sessions: start, stop, read; they turn HTTP into calls of starts/start.py."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request
from pydantic.alias_generators import to_camel

from dispatcher.access.access import Access, Requester
from dispatcher.access.one_address import OneAddress
from dispatcher.api.schemas import (
    SessionBody,
    StartAnswer,
    StartBody,
    StopAnswer,
)
from dispatcher.api.session_answers import (
    LogsAnswer,
    SessionAnswer,
    SessionFacts,
    SessionsAnswer,
    TimingsAnswer,
    TimingStep,
    TranscriptAnswer,
    TranscriptItem,
    facts,
)
from dispatcher.errors import FAILED, AgentNotAllowed, BadRequest
from dispatcher.fleet import session_list
from dispatcher.fleet.session_list import Wanted
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.admission import estimated_wait
from dispatcher.starts.idempotency import KEY_PATTERN, once
from dispatcher.starts.permit import Permits
from dispatcher.starts.start import StartedSession, StartRequest, Starts
from session.errors import SessionError, StoreUnavailable
from session.record import JOINABLE, Session, State
from session.store.ports import LOG_LINES, SessionStore

MAX_WAIT_MS = 10_000  # that an answer may be asked to wait for `ready`
MOST_UTTERANCES = 1000  # in one answer
WARM_SECONDS = 0.5  # estimate of a start with a warm process: 0.42 s to the agent in its room
COLD_SECONDS = 2.0  # and without one: a fork, and its share of a burst of ten

# What docs/api.md says of the parameters.
WAIT_MS = "Milliseconds for which the answer waits for `ready`."
KEY = "Names this request, so that asking again begins no second session; up to 255 printable characters."
STATUS = "Only sessions in this state; by default all that are queued or have a seat."
SINCE = "Only sessions made at this time or later, Unix seconds."
NO_CURSOR = "cursor must be one that this server gave out."
UTTERANCES = "How many utterances at most, 200 by default."
LINES = "How many lines at most, the newest; 50 by default."


@dataclass(frozen=True, slots=True)
class SessionRoutes:
    """Routes over these parts. `address_sessions`: live sessions of one address without a key; None: any number."""

    store: SessionStore
    starts: Starts
    permits: Permits
    metrics: Metrics
    access: Access
    address_sessions: int | None = None
    addresses: OneAddress = field(default_factory=OneAddress)

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        callers, operators = [Depends(self.access.caller)], [Depends(self.access.operator)]
        router.add_api_route("/api/session/start", self.start, methods=["POST"], dependencies=callers)
        router.add_api_route("/api/session/stop", self.stop, methods=["POST"])
        for path in ("/api/session/start", "/api/session/stop"):  # else these were read as a session's id
            router.add_api_route(path, _only_posted, methods=["GET"], include_in_schema=False)
        router.add_api_route("/api/session/{session_id}", self.show, methods=["GET"])
        router.add_api_route("/api/session/{session_id}/transcript", self.transcript, methods=["GET"])
        router.add_api_route("/api/session/{session_id}/logs", self.logs, methods=["GET"])
        router.add_api_route("/api/session/{session_id}/timings", self.timings, methods=["GET"])
        router.add_api_route("/api/sessions", self.sessions, methods=["GET"], dependencies=operators)
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
            begun = await self._begin(body, request.state.requester, key=key, wait_ms=wait_ms)
        except SessionError as error:
            self.metrics.refused(error)
            raise
        outcome: Literal["new", "reused", "repeated"] = (
            "repeated" if begun.repeated else "reused" if begun.reused else "new"
        )
        self.metrics.started(outcome, time.monotonic() - began)
        if begun.session.error is not None and not begun.repeated:
            raise FAILED[begun.session.error]
        secret = self.access.proofs.secret_of(begun.session.id)
        return _start_answer(begun, self.starts.rooms.url, self.starts.queue_seconds, secret)

    async def _begin(
        self, body: StartBody, requester: Requester, *, key: str | None, wait_ms: int | None
    ) -> StartedSession:
        """Start with a permit; what no new session needed is given back."""
        wish = _wish(body, requester, most_sessions(requester, self.address_sessions))
        repeat = once(key, owner=wish.owner, body=body) if key is not None else None
        check_agent(requester, wish.agent)
        if requester.key is None and not requester.loopback:
            self.addresses.saw(requester.address)
        permit = self.permits.permit(
            requester.address, owner=wish.owner, user_id=wish.user_id, by_key=requester.key_limit
        )
        try:
            return await self.starts.start(wish, wait_ms=wait_ms, permit=permit, once=repeat)
        except SessionError as error:
            if not isinstance(error, StoreUnavailable):  # it would not answer this either, and the caller waits
                await permit.give_back()
            raise

    async def stop(self, request: Request, body: SessionBody) -> StopAnswer:
        """End a session."""
        await self._own(request, body.session_id)
        await self.starts.stop(body.session_id)
        return StopAnswer()

    async def show(self, request: Request, session_id: str) -> SessionAnswer:
        """A session's record; asking for it keeps it from being idle."""
        await self.store.touch(session_id)
        session = await self.store.get(session_id)
        theirs = bool(session.phone) and await self.access.is_owner(request, session)
        return SessionAnswer.model_validate({**facts(session), "phone": session.phone if theirs else None})

    async def sessions(
        self,
        status: Annotated[State | None, Query(description=STATUS)] = None,
        limit: Annotated[int, Query(ge=1, le=200, description="How many at most, 50 by default.")] = 50,
        cursor: Annotated[str | None, Query(description="The `cursor` of the page before.")] = None,
        user_id: Annotated[str | None, Query(alias="userId", description="Only sessions of this user.")] = None,
        agent: Annotated[str | None, Query(description="Only sessions of this agent.")] = None,
        worker: Annotated[str | None, Query(description="Only sessions whose agent this worker runs.")] = None,
        since: Annotated[float | None, Query(description=SINCE, allow_inf_nan=False)] = None,
    ) -> SessionsAnswer:
        """Sessions, newest first; the live ones where no status is asked for: seated, or in the queue."""
        wanted = Wanted(JOINABLE if status is None else {status}, user_id, agent, worker, since)
        try:
            page = await session_list.page(self.store, wanted, limit=limit, cursor=cursor or None)
        except ValueError:
            raise BadRequest(NO_CURSOR) from None
        shown = [SessionFacts.of(each) for each in page.sessions]
        return SessionsAnswer(count=len(shown), sessions=shown, cursor=page.cursor)

    async def _own(self, request: Request, session_id: str) -> Session:
        """The session, for who proves that it is theirs."""
        session = await self.store.get(session_id)
        await self.access.owner(request, session)
        return session

    async def transcript(
        self,
        request: Request,
        session_id: str,
        limit: Annotated[int, Query(ge=1, le=MOST_UTTERANCES, description=UTTERANCES)] = MOST_UTTERANCES // 5,
        cursor: Annotated[str | None, Query(description="The `cursor` of the page before.")] = None,
    ) -> TranscriptAnswer:
        """What was said so far, in pages."""
        await self._own(request, session_id)
        page = await self.store.transcript(session_id, start=_place(cursor), limit=limit)
        items = [
            TranscriptItem(speaker=each.speaker, text=each.text, at=each.at, interrupted=each.interrupted)
            for each in page.items
        ]
        after = None if page.after is None else str(page.after)
        return TranscriptAnswer(session_id=session_id, items=items, cursor=after)

    async def logs(
        self,
        request: Request,
        session_id: str,
        limit: Annotated[int, Query(ge=1, le=LOG_LINES, description=LINES)] = LOG_LINES // 2,
    ) -> LogsAnswer:
        """What happened to the session, oldest first."""
        await self._own(request, session_id)
        lines = await self.store.logs(session_id, limit=limit)
        return LogsAnswer(session_id=session_id, logs=[_camel(line) for line in lines])

    async def timings(self, request: Request, session_id: str) -> TimingsAnswer:
        """The waterfall of the start."""
        session = await self._own(request, session_id)
        steps = sorted(session.steps.items(), key=lambda step: step[1])
        shown = [TimingStep(name=name, ms=ms) for name, ms in steps]
        return TimingsAnswer(session_id=session_id, attempt=session.attempt, steps=shown)


def _place(cursor: str | None) -> int:
    """Where a transcript goes on. Raises BadRequest."""
    if not cursor:
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", cursor):
        raise BadRequest(NO_CURSOR)
    return int(cursor)


def _camel(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a session's log as the API names its facts."""
    return {to_camel(name): value for name, value in line.items()}


def check_agent(requester: Requester, agent: str) -> None:
    """Raises AgentNotAllowed where the requester's API key does not open this agent."""
    if requester.key is not None and requester.key.agents is not None and agent not in requester.key.agents:
        raise AgentNotAllowed


def most_sessions(requester: Requester, address_sessions: int | None) -> int | None:
    """How many live sessions this requester's owner may have; None: any number.

    Args:
        requester: who asks.
        address_sessions: how many an address may have without an API key.
    """
    if requester.key is not None:
        return requester.key.sessions
    return None if requester.loopback else address_sessions


async def _only_posted() -> None:
    """Raises HTTPException 405."""
    raise HTTPException(405, headers={"Allow": "POST"})


def _wish(body: StartBody, requester: Requester, most: int | None) -> StartRequest:
    config = {} if body.config is None else body.config.model_dump(exclude_none=True)
    return StartRequest(
        user_id=body.user_id or None,
        user_name=body.user_name,
        agent=body.agent or "default",
        metadata=body.metadata or {},
        config=config,
        rtvi=body.rtvi,
        owner=requester.owner,
        proven=requester.proven,
        max_owned=most,
    )


def _start_answer(begun: StartedSession, url: str, queue_seconds: float, secret: str) -> StartAnswer:
    session = begun.session
    message = "Session ready" if session.state is State.READY else f"Session {session.state}"
    waits = {State.STARTING: WARM_SECONDS if session.prewarmed else COLD_SECONDS, State.RECOVERING: COLD_SECONDS}
    if session.state is State.QUEUED:
        waits[State.QUEUED] = estimated_wait(begun.position or 1, begun.slots, queue_seconds)
    return StartAnswer(
        session_id=session.id,
        session_secret=secret,
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
