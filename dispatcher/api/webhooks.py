"""The route of LiveKit's webhooks: checks the signature on the raw body, then upkeep/webhooks.py applies them."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request

from dispatcher.api.schemas import Success
from dispatcher.errors import BadRequest, BadSignature
from dispatcher.upkeep.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    """The route over these parts."""

    webhooks: Webhooks

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/webhooks/livekit", self.receive, methods=["POST"])
        return router

    async def receive(self, request: Request) -> Success:
        """Take one webhook. Raises BadSignature, BadRequest."""
        body = await request.body()
        try:
            webhook = self.webhooks.rooms.read_webhook(body, request.headers.get("authorization", ""))
        except BadSignature:
            self.webhooks.metrics.webhook_ignored("forged")
            raise
        except BadRequest:
            self.webhooks.metrics.webhook_ignored("unreadable")
            raise
        await self.webhooks.apply(webhook)
        return Success()
