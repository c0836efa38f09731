"""The route by which an operator tries whether alerts arrive."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request

from dispatcher.access.access import Access
from dispatcher.alerts.alerts import NotPosted, Receiver
from dispatcher.api.audit import audit
from dispatcher.api.schemas import Success
from dispatcher.errors import AlertNotPosted, AlertsOff


class AlertTestAnswer(Success):
    """POST /api/alerts/test."""

    message: str
    """Where to look for the alert."""


@dataclass(frozen=True, slots=True)
class AlertRoutes:
    """Routes over these parts. `receiver`: None where nobody wants alerts; `clock`: Unix seconds."""

    receiver: Receiver | None
    access: Access
    clock: Callable[[], float] = time.time

    def router(self) -> APIRouter:
        """The routes; all are an operator's."""
        router = APIRouter(dependencies=[Depends(self.access.operator)])
        router.add_api_route("/api/alerts/test", self.test, methods=["POST"])
        return router

    async def test(self, request: Request) -> AlertTestAnswer:
        """Post an alert that says it is a test, and wait until it is taken."""
        if self.receiver is None:
            raise AlertsOff
        try:
            await self.receiver.test(self.clock())
        except NotPosted as error:
            raise AlertNotPosted(f"The receiver of WEBHOOK_URL did not take it: {error}.") from error
        audit(request, "alert_tested")
        return AlertTestAnswer(message="The receiver of WEBHOOK_URL took the alert GreenroomTest.")
