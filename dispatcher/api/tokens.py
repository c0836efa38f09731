"""The routes of tokens: another one for a session, and LiveKit's token endpoint for stock front ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from limits import RateLimitItem

from dispatcher.access.addresses import Network, client_address
from dispatcher.api.schemas import AskedAgent, TokenAnswer, TokenBody, TokenSourceAnswer, TokenSourceBody
from dispatcher.api.sessions import OWNER
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
        reservations: make tokens for sessions that are not there yet.
        agent_name: the LiveKit name of our workers, which stock front ends may ask for.
        permits: with the limits that count the tokens of each address.
        token_limit: how many it may get; None: any number.
        trusted: the proxies that are believed where a request comes from.
    """

    starts: Starts
    reservations: Reservations
    agent_name: str
    permits: Permits
    token_limit: RateLimitItem | None = None
    trusted: Sequence[Network] = ()

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/api/token", self.token, methods=["POST"])
        router.add_api_route("/api/livekit/token", self.token_source, methods=["POST"], status_code=201)
        return router

    async def token(self, body: TokenBody) -> TokenAnswer:
        """Another token for a session."""
        session, token = await self.starts.token(body.session_id, user_id=body.user_id or None, name=body.user_name)
        return TokenAnswer(token=token, url=self.starts.rooms.url, room_name=session.room)

    async def token_source(self, request: Request, body: TokenSourceBody | None = None) -> TokenSourceAnswer:
        """A token with which a stock front end brings its own room and agent about."""
        await self._count(request)
        body = body or TokenSourceBody()
        asked = body.room_config.agents[0] if body.room_config and body.room_config.agents else AskedAgent()
        agent = "default" if asked.agent_name in ("", self.agent_name) else asked.agent_name
        wish = StartRequest(agent=agent, user_name=body.participant_name, metadata=_metadata(asked.metadata))
        front_end = ParticipantDetails(
            name=body.participant_name or "",
            metadata=body.participant_metadata or "",
            attributes=body.participant_attributes or {},
        )
        token = await self.reservations.issue(wish, front_end, owner=OWNER)
        return TokenSourceAnswer(server_url=self.starts.rooms.url, participant_token=token)

    async def _count(self, request: Request) -> None:
        """Count a token of this address before it is made. Raises RateLimited."""
        if self.token_limit is None:
            return
        peer = request.client.host if request.client is not None else None
        address = client_address(peer, ",".join(request.headers.getlist("x-forwarded-for")), self.trusted)
        try:
            await self.permits.limits.count(self.token_limit, f"token/{address}")
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
    return read if isinstance(read, dict) else {"metadata": given}
