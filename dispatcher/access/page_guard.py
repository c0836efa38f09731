"""Refuses what other people's pages send, before any route runs: unknown hosts and origins, and keys in addresses.

app.py puts it around the routes. A browser sends a page's requests to us without asking; it says from which origin they
come. A page whose own name was made to resolve to our address (DNS rebinding) sends that name as `Host`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dispatcher.access.keys import WRITTEN
from dispatcher.access.loopback import host_name, is_loopback_name
from dispatcher.api import errors as refusals
from dispatcher.errors import KeyInAddress, OriginNotAllowed, UnknownHost
from session.errors import SessionError

LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
ANY_HOST = frozenset({"/healthz", "/readyz", "/metrics", "/api/health", "/webhooks/livekit"})
"""Paths that probes, Prometheus and LiveKit ask for by any name of ours: they show no session, or check a signature."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Pages:
    """Whose pages may call.

    Attributes:
        hosts: host names of ours (GREENROOM_HOSTS); addresses and loopback names are always ours.
        origins: origins whose pages may call (GREENROOM_CORS_ORIGINS); `*` for all.
        local: pages of this machine may call, too.
    """

    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    local: bool = True

    def fault(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> SessionError | None:
        """Why a request is refused; None: it may go on.

        Args:
            method: HTTP's.
            path: of the address, without the query.
            query: of the address.
            headers: by lower-case name.
        """
        if WRITTEN.search(path) or WRITTEN.search(query):
            return KeyInAddress()
        if path in ANY_HOST:
            return None
        if not self._is_ours(headers.get("host", "")):
            return UnknownHost()
        origin = headers.get("origin")
        if method not in SAFE and origin is not None and not self._may_call(origin, headers.get("host", "")):
            return OriginNotAllowed()
        return None

    def _is_ours(self, host: str) -> bool:
        name = host_name(host)
        return is_loopback_name(name) or _is_address(name) or name in self.hosts

    def _may_call(self, origin: str, host: str) -> bool:
        if "*" in self.origins or origin in self.origins:
            return True
        if self.local and LOCAL_ORIGIN.fullmatch(origin):
            return True
        return bool(host) and urlsplit(origin).netloc == host  # a page that we have served


@dataclass(frozen=True, slots=True)
class PageGuard:
    """The middleware over `pages`. `counted`: called with the error of each refusal."""

    app: ASGIApp
    pages: Pages
    counted: Callable[[Exception], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        fault = self.pages.fault(scope["method"], scope["path"], query, Headers(scope=scope))
        if fault is None:
            await self.app(scope, receive, send)
            return
        self.counted(fault)
        status, code = refusals.STATUS[type(fault)]
        await refusals.answer(status, code, str(fault))(scope, receive, send)


def _is_address(name: str) -> bool:
    """Whether it is an address: no page has one for its name, so that none can be rebound to us."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
