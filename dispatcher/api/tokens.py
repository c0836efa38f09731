"""The routes of tokens: another one for a session, and LiveKit's token endpoint for stock front ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from limits import RateLimitItem

from dispatcher.access.access import Access, Requester
from dispatcher.api.schemas import AskedAgent, TokenAnswer, TokenBody, TokenSourceAnswer, TokenSourceBody, too_deep
from dispatcher.api.sessions import check_agent, most_sessions
from dispatcher.errors import RateLimited
from dispatcher.livekit.port import ParticipantDetails
from dispatcher.starts.permit import Permits
from dispatcher.starts.reservations import Reservations
from dispatcher.starts.start import StartRequest, Starts


@dataclass(frozen=True, slots=True)
class TokenRoutes:
    """Routes over these parts.

    Args:
        starts: of which sessions there are tokens.
        access: says who may have one.
        reservations: make tokens for sessions that are not there yet.
        agent_name: the LiveKit name of our workers, which stock front ends may ask for.
        permits: with the limits that count the tokens of each address.
        token_limit: how many it may get without an API key; None: any number.
        address_sessions: how many live sessions an address may have without one; None: any number.
    """

    starts: Starts
    access: Access
    reservations: Reservations
    agent_name: str
    permits: Permits
    token_limit: RateLimitItem | None = None
    address_sessions: int | None = None

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/api/token", self.token, methods=["POST"])
        router.add_api_route(
            "/api/livekit/token",
            self.token_source,
            methods=["POST"],
            status_code=201,
            dependencies=[Depends(self.access.caller)],
        )
        return router

    async def token(self, request: Request, body: TokenBody) -> TokenAnswer:
        """Another token for a session; it needs a proof that the session is yours."""
        await self.access.owner(request, await self.starts.store.get(body.session_id))
        session, token = await self.starts.token(body.session_id, user_id=body.user_id or None, name=body.user_name)
        return TokenAnswer(token=token, url=self.starts.rooms.url, room_name=session.room)

    async def token_source(self, request: Request, body: TokenSourceBody | None = None) -> TokenSourceAnswer:
        """A token with which a stock front end brings its own room and agent about."""
        requester: Requester = request.state.requester
        await self._count(requester)
        body = body or TokenSourceBody()
        asked = body.room_config.agents[0] if body.room_config and body.room_config.agents else AskedAgent()
        agent = "default" if asked.agent_name in ("", self.agent_name) else asked.agent_name
        check_agent(requester, agent)
        wish = StartRequest(
            agent=agent,
            user_name=body.participant_name,
            metadata=_metadata(asked.metadata),
            owner=requester.owner,
            max_owned=most_sessions(requester, self.address_sessions),
        )
        front_end = ParticipantDetails(
            name=body.participant_name or "",
            metadata=body.participant_metadata or "",
            attributes=body.participant_attributes or {},
        )
        token = await self.reservations.issue(wish, front_end)
        return TokenSourceAnswer(server_url=self.starts.rooms.url, participant_token=token)

    async def _count(self, requester: Requester) -> None:
        """Count a token before it is made, by its API key's limit or by its address. Raises RateLimited."""
        by_key = requester.key_limit
        rate, who = (by_key.rate, by_key.who) if by_key else (self.token_limit, f"token/{requester.address}")
        if rate is None:
            return
        try:
            await self.permits.limits.count(rate, who)
        except RateLimited as error:
            raise RateLimited("Too many tokens; try again later.", retry_after=error.retry_after) from None


def _metadata(given: str) -> Mapping[str, Any]:
    """A JSON object as it is, anything else under `metadata`."""
    if not given:
        return {}
    try:
        read = json.loads(given)
        json.dumps(read, allow_nan=False)
    except (ValueError, RecursionError):
        read = None
    return read if isinstance(read, dict) and not too_deep(read) else {"metadata": given}
