"""Puts the API together from its routes, errors and middleware; dispatcher/__main__.py and the tests call it."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from dispatcher.access.access import Access
from dispatcher.access.page_guard import LOCAL_ORIGIN, PageGuard, Pages
from dispatcher.alerts.alerts import receiver_of
from dispatcher.api import errors as refusals
from dispatcher.api import openapi
from dispatcher.api.alerts import AlertRoutes
from dispatcher.api.fleet import FleetRoutes
from dispatcher.api.health import HealthRoutes
from dispatcher.api.middleware import BodyLimit, Measured
from dispatcher.api.sessions import SessionRoutes
from dispatcher.api.tokens import TokenRoutes
from dispatcher.api.webhooks import WebhookRoutes
from dispatcher.attempts.executor import NoTimers, Timers
from dispatcher.ending import Ending
from dispatcher.fleet.pool import FleetPool
from dispatcher.livekit.port import Rooms
from dispatcher.observe.copy import Copy
from dispatcher.observe.metrics import Metrics
from dispatcher.settings import DispatcherSettings
from dispatcher.starts.limits import read_rate
from dispatcher.starts.news import News
from dispatcher.starts.permit import Permits
from dispatcher.starts.reservations import Reservations
from dispatcher.starts.start import Starts
from dispatcher.upkeep.webhooks import Webhooks
from session.store.ports import Store


def create_app(
    store: Store,
    rooms: Rooms,
    settings: DispatcherSettings,
    permits: Permits,
    access: Access,
    metrics: Metrics | None = None,
    timers: Timers | None = None,
    news: News | None = None,
) -> FastAPI:
    """The API over these parts.

    Args:
        store: sessions and workers.
        rooms: LiveKit.
        settings: limits and origins; nothing else is read.
        permits: of rate limits and circuit, which each start needs.
        access: says who may do what.
        metrics: where to count; by default a registry of its own.
        timers: who handles starts whose deadline passes; by default nobody.
        news: wakes the answers that wait; by default nobody reads any, and they look by themselves.
    """
    metrics = metrics or Metrics(CollectorRegistry())
    app = FastAPI(title="Greenroom", docs_url=None, redoc_url=None, redirect_slashes=False)
    refusals.install(app)
    openapi.install(app)
    ending = Ending(store, rooms)
    starts = Starts(
        store,
        rooms,
        ending,
        news or News(store),
        settings.max_bots,
        claim_seconds=settings.claim_seconds,
        queue_seconds=settings.queue_seconds,
        timers=timers or NoTimers(),
    )
    reservations = make_reservations(store, rooms, settings, timers or NoTimers())
    secret = settings.livekit_api_secret.get_secret_value()
    webhooks = Webhooks(store, rooms, ending, metrics, secret, reservations)
    token_limit = read_rate(settings.token_limit)
    for router in (
        SessionRoutes(store, starts, permits, metrics, access, settings.address_sessions).router(),
        TokenRoutes(
            starts, access, reservations, settings.agent_name, permits, token_limit, settings.address_sessions
        ).router(),
        AlertRoutes(receiver_of(settings.webhook_url), access).router(),
        FleetRoutes(FleetPool(store), access).router(),
        HealthRoutes(store, Copy(store, rooms), metrics, settings.max_bots, access).router(),
        WebhookRoutes(webhooks).router(),
    ):
        metrics.routes([route.path for route in router.routes if isinstance(route, APIRoute)])
        app.include_router(router)
    metrics.routes(["other"])
    app.add_middleware(BodyLimit)
    pages = Pages(settings.hosts, settings.cors_origins, settings.local_pages)
    app.add_middleware(PageGuard, pages=pages, counted=metrics.access_refused)
    _allow_origins(app, settings)
    app.add_middleware(Measured, metrics=metrics)
    return app


def make_reservations(store: Store, rooms: Rooms, settings: DispatcherSettings, timers: Timers) -> Reservations:
    """What makes reserved tokens, and records the sessions they begin: for the API, and for the slow loop.

    Args:
        store: sessions and workers.
        rooms: LiveKit.
        settings: limits; nothing else is read.
        timers: who handles sessions whose deadline passes.
    """
    return Reservations(
        store,
        rooms,
        Ending(store, rooms),
        settings.max_bots,
        claim_seconds=settings.claim_seconds,
        queue_seconds=settings.queue_seconds,
        timers=timers,
    )


def _allow_origins(app: FastAPI, settings: DispatcherSettings) -> None:
    """Let browsers call from the configured origins; without any, from local ones while only local ones can."""
    local = LOCAL_ORIGIN.pattern if settings.local_pages else None
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_origin_regex=local,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["Retry-After"],
    )
