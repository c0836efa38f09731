"""The routes of tokens: another one for a session, and LiveKit's token endpoint for stock front ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request

from dispatcher.access.access import Access
from dispatcher.api.schemas import AskedAgent, TokenAnswer, TokenBody, TokenSourceAnswer, TokenSourceBody
from dispatcher.errors import RoomNameGiven
from dispatcher.livekit.port import ParticipantDetails
from dispatcher.starts.start import StartRequest, Starts


@dataclass(frozen=True, slots=True)
class TokenRoutes:
    """Routes over these parts. `agent_name`: the LiveKit name of our workers, which stock front ends may ask for."""

    starts: Starts
    access: Access
    agent_name: str

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

    async def token_source(self, body: TokenSourceBody | None = None) -> TokenSourceAnswer:
        """A token with which a stock front end brings its own room and agent about."""
        body = body or TokenSourceBody()
        if body.room_name:
            raise RoomNameGiven
        asked = body.room_config.agents[0] if body.room_config and body.room_config.agents else AskedAgent()
        agent = "default" if asked.agent_name in ("", self.agent_name) else asked.agent_name
        wish = StartRequest(agent=agent, user_name=body.participant_name, metadata=_metadata(asked.metadata))
        front_end = ParticipantDetails(
            name=body.participant_name or "",
            metadata=body.participant_metadata or "",
            attributes=body.participant_attributes or {},
        )
        token = await self.starts.reserve(wish, front_end)
        return TokenSourceAnswer(server_url=self.starts.rooms.url, participant_token=token)


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
