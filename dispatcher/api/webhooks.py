"""The route of LiveKit's webhooks: the signature is checked on the raw body before anything is read."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request

from dispatcher.api.schemas import Success
from dispatcher.errors import BadSignature
from dispatcher.upkeep.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    """The route over these parts."""

    hints: Webhooks

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/webhooks/livekit", self.receive, methods=["POST"])
        return router

    async def receive(self, request: Request) -> Success:
        """Take one webhook. Raises BadSignature."""
        body = await request.body()
        try:
            hint = self.hints.rooms.read_webhook(body, request.headers.get("authorization", ""))
        except BadSignature:
            self.hints.metrics.webhook_ignored("forged")
            raise
        await self.hints.apply(hint)
        return Success()
