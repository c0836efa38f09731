"""Runs one dispatcher: reads the settings, opens what it needs, puts its parts together, closes them."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from dispatcher.access.access import Access
from dispatcher.access.key_ring import KeyRing
from dispatcher.access.key_store import RedisKeys, open_keys
from dispatcher.access.keys import read_first_keys
from dispatcher.access.proof import Proofs
from dispatcher.access.refusals import Refusals
from dispatcher.alerts.alerts import Alerts, receiver_of
from dispatcher.app import create_app, make_reservations
from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.attempts.silence import Silence
from dispatcher.connections import PunctualProtocol
from dispatcher.ending import Ending
from dispatcher.fleet.pool import FleetPool
from dispatcher.livekit.rooms import open_rooms
from dispatcher.observe.metrics import Metrics
from dispatcher.settings import DispatcherSettings
from dispatcher.starts.circuit import StartCircuit
from dispatcher.starts.limits import RateLimits, open_rate_limits
from dispatcher.starts.news import News
from dispatcher.starts.permit import Permits
from dispatcher.starts.queue import StartQueue
from dispatcher.upkeep.ended import EndedFollower, counting
from dispatcher.upkeep.fast_loop import FastLoop
from dispatcher.upkeep.schedule import DocketTimers, running_tasks
from dispatcher.upkeep.slow_loop import SlowLoop
from runtime import log
from runtime.background import on_failure
from runtime.secret_files import SecretFileError
from session.store.redis.store import open_store
from session.timing import ANSWERS_SECONDS

BACKLOG = 512  # connections that wait to be taken
KEEP_ALIVE_SECONDS = 75  # without a request; proxies keep theirs for 60, and must not meet one that is being closed
FORCED = 70  # exit code when answers were cut off: an internal software error, as sysexits.h has it

_log = logging.getLogger("dispatcher")


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    try:
        settings = DispatcherSettings()
    except SecretFileError as error:
        print(f"dispatcher: {error}", file=sys.stderr)
        return 2
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            print(f"dispatcher: {'.'.join(map(str, problem['loc']))}: {problem['msg']}", file=sys.stderr)
        return 2
    log.configure(settings.log_level)
    logging.getLogger("docket").setLevel(logging.ERROR)  # it warns every second while the store is away
    try:
        listening = _listen(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        print(f"dispatcher: cannot listen on {where} ({error.strerror}); set GREENROOM_PORT", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn stops and then raises it again: the closing comes after that
    cut_off = asyncio.run(serve(settings, listening))
    return FORCED if cut_off else 0


async def serve(settings: DispatcherSettings, listening: socket.socket) -> int:
    """Serve on this socket until a signal comes.

    Args:
        settings: all that this process is told.
        listening: bound and listening; closed when this returns.

    Returns:
        How many answers were cut off: they took more than ANSWERS_SECONDS, or a second Ctrl-C came.
    """
    url, namespace = settings.redis_url.get_secret_value(), settings.namespace
    metrics = Metrics(CollectorRegistry())
    on_failure(lambda failure: metrics.task_failed(failure.name))
    secret = settings.livekit_api_secret.get_secret_value()
    timers, unread = DocketTimers(), metrics.record_unreadable
    async with (
        open_store(url, namespace=namespace, keep_seconds=settings.keep_seconds, unreadable=unread) as store,
        open_rate_limits(
            url, namespace=namespace, by_address=settings.rate_limit, by_user=settings.user_limit
        ) as limits,
        open_keys(url, namespace=namespace) as keys,
        open_rooms(settings, settings, callers_url=settings.callers_url) as rooms,
    ):
        circuit, ending, news = StartCircuit(store), Ending(store, rooms), News(store)
        attempts = AttemptExecutor(
            store,
            rooms,
            metrics,
            circuit,
            ending,
            settings.max_bots,
            claim_seconds=settings.claim_seconds,
            timers=timers,
        )
        queue = StartQueue(store, attempts, settings.max_bots)
        fast = FastLoop(store, rooms, attempts, queue, Silence(store, ending, rooms), metrics, FleetPool(store))
        reservations = make_reservations(store, rooms, settings, timers)
        slow = SlowLoop(store, rooms, ending, settings, metrics, secret, reservations, settings.max_bots)
        ended = EndedFollower(store, "dispatchers", counting(metrics, circuit))
        followers = {"news": news.step, "ended": ended.step}
        receiver = receiver_of(settings.webhook_url)
        alerts = Alerts(store, receiver) if receiver is not None else None
        running = running_tasks(
            url, namespace=namespace, slow=slow, fast=fast, timers=timers, alerts=alerts, followers=followers
        )
        access = _access(settings, keys, limits, metrics)
        app = create_app(store, rooms, settings, Permits(limits, circuit), access, metrics, timers, news)
        server = _server(app)
        async with running:
            _log.info("event=listening port=%s", listening.getsockname()[1])
            await server.serve(sockets=[listening])
            if cut_off := len(server.server_state.tasks):
                _log.error("event=forced_exit answers_cut_off=%d", cut_off)
    _log.info("event=stopped")
    return cut_off


def _access(settings: DispatcherSettings, keys: RedisKeys, limits: RateLimits, metrics: Metrics) -> Access:
    first = read_first_keys(settings.api_keys.get_secret_value())
    return Access(
        KeyRing(keys, first),
        Proofs(settings.livekit_api_secret.get_secret_value()),
        Refusals(limits, metrics.access_refused),
        open=settings.open,
        trusted=settings.trusted_proxies,
        ip_header=settings.client_ip_header.lower(),
        scrapers=settings.metrics_allow,
    )


def _server(app: FastAPI) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=PunctualProtocol,
        access_log=False,
        log_config=None,
        lifespan="off",
        proxy_headers=False,  # uvicorn would believe X-Forwarded-For from loopback: see access/addresses.py
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=ANSWERS_SECONDS,
    )
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket that says it is TCP: asyncio sends at once (TCP_NODELAY) only on those, else 40 ms later."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(BACKLOG)
    return listening


if __name__ == "__main__":
    sys.exit(main())
