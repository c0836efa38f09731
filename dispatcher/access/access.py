"""Decides who may do what: every route asks here before anything else is done.

Without any API key, only this machine is answered (loopback.py says what that means). GREENROOM_OPEN=1 lets everybody
start sessions, and changes nothing for operators. With a key, everybody needs one, this machine too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fastapi import Request

from dispatcher.access.addresses import Network, client_address, is_within
from dispatcher.access.key_ring import KeyRing
from dispatcher.access.keys import ApiKey, Role
from dispatcher.access.loopback import from_loopback
from dispatcher.access.proof import Proofs
from dispatcher.access.refusals import Refusals
from dispatcher.errors import KeyInvalid, KeyMissing, LoopbackOnly, NotTheirs, OperatorsOnly, ProofMissing
from dispatcher.starts.limits import KeyLimit, read_rate
from session.errors import SessionError
from session.record import LOCAL, Session

SECRET_HEADER = "X-Session-Secret"


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks.

    Attributes:
        address: where the request comes from, as rate limits count it.
        loopback: it comes from this machine, and there is no key that it would need.
        key: its API key, if it has one.
        proven: the id of the session whose secret or token it shows, if it shows one.
    """

    address: str
    loopback: bool = False
    key: ApiKey | None = None
    proven: str | None = None

    @property
    def owner(self) -> str:
        """Whose sessions it starts: this machine's (LOCAL), its tenant's, or those of its address."""
        if self.key is not None:
            return f"key:{self.key.name}"
        if self.loopback:
            return LOCAL
        return f"address:{hashlib.sha256(self.address.encode()).hexdigest()[:16]}"

    @property
    def key_limit(self) -> KeyLimit | None:
        """How often its tenant may start, in place of the limit of its address; None: it has no key."""
        if self.key is None:
            return None
        return KeyLimit(self.key.name, read_rate(self.key.starts) if self.key.starts else None)

    @property
    def operator(self) -> bool:
        """Whether it may do everything."""
        return self.loopback if self.key is None else self.key.role is Role.OPERATOR

    def may_use(self, session: Session) -> bool:
        """Whether it may read, stop and join this session."""
        return self.operator or self.proven == session.id or (self.key is not None and session.owner == self.owner)


@dataclass(frozen=True, slots=True)
class Access:
    """The checks.

    Args:
        keys: the API keys that are valid.
        proofs: checks the secrets and tokens of sessions.
        refusals: counts what was refused, and limits who is refused again and again.
        open: GREENROOM_OPEN: callers need no key.
        trusted: the proxies that are believed where a request comes from.
        ip_header: GREENROOM_CLIENT_IP_HEADER, lower-case; "" for X-Forwarded-For.
        scrapers: GREENROOM_METRICS_ALLOW: networks whose programs may read the metrics.
    """

    keys: KeyRing
    proofs: Proofs
    refusals: Refusals
    open: bool = False
    trusted: Sequence[Network] = field(default=())
    ip_header: str = ""
    scrapers: Sequence[Network] = field(default=())

    async def caller(self, request: Request) -> Requester:
        """Who asks for what callers may do.

        Raises:
            KeyInvalid, KeyMissing, LoopbackOnly: it may not.
            RateLimited: it was refused too often.
            StoreUnavailable: the keys cannot be read.
        """
        requester = request.state.requester = await self._requester(request)
        if requester.key is None and not requester.loopback and not self.open:
            raise await self._refused(requester, request, KeyMissing() if await self.keys.any() else LoopbackOnly())
        return requester

    async def operator(self, request: Request) -> Requester:
        """Who asks for what operators alone may do. Raises as `caller`, and OperatorsOnly."""
        requester = request.state.requester = await self._requester(request)
        if requester.operator:
            return requester
        if requester.key is not None:
            raise await self._refused(requester, request, OperatorsOnly())
        without_keys = not self.open and not await self.keys.any()
        raise await self._refused(requester, request, LoopbackOnly() if without_keys else KeyMissing())

    async def scraper(self, request: Request) -> None:
        """Let the metrics be read: on this machine, from `scrapers`, and by operators. Raises as `operator`.

        On this machine no key is asked for, also where there are some: it is Prometheus beside us, which has none.
        """
        peer = request.client.host if request.client is not None else None
        if from_loopback(peer, request.headers, ip_header=self.ip_header):
            return
        address = self._address(peer, request.headers.getlist("x-forwarded-for"), request.headers)
        if not any(is_within(address, network) for network in self.scrapers):
            await self.operator(request)

    async def owner(self, request: Request, session: Session) -> Requester:
        """Who asks for something of this session's: it needs a proof, its key, or an operator's. Raises as `operator`.

        Raises:
            ProofMissing: it shows nothing. NotTheirs: what it shows is another session's.
        """
        requester = await self._requester(request)
        if requester.may_use(session):
            return requester
        shows = requester.key is not None or SECRET_HEADER in request.headers
        raise await self._refused(requester, request, NotTheirs() if shows else ProofMissing())

    async def is_owner(self, request: Request, session: Session) -> bool:
        """Whether who asks could have what is this session's; refuses nobody."""
        try:
            return (await self._requester(request)).may_use(session)
        except SessionError:
            return False

    async def _requester(self, request: Request) -> Requester:
        peer = request.client.host if request.client is not None else None
        address = self._address(peer, request.headers.getlist("x-forwarded-for"), request.headers)
        shown = request.headers.get("authorization")
        key = None
        if shown is not None:
            key = await self.keys.find(_bearer(shown))
            if key is None:
                raise await self._refused(Requester(address), request, KeyInvalid())
        loopback = (
            key is None and from_loopback(peer, request.headers, ip_header=self.ip_header) and not await self.keys.any()
        )
        proven = self.proofs.proven(request.headers.get(SECRET_HEADER, ""))
        return Requester(address, loopback, key, proven)

    def _address(self, peer: str | None, forwarded: Sequence[str], headers: Mapping[str, str]) -> str:
        given = headers.get(self.ip_header, "") if self.ip_header else ",".join(forwarded)
        return client_address(peer, given, self.trusted)

    async def _refused(self, requester: Requester, request: Request, error: Exception) -> Exception:
        """What this refusal is answered: the error, or RateLimited for who was refused too often."""
        return await self.refusals.answered(error, address=requester.address, route=_route(request))


def _bearer(header: str) -> str:
    scheme, _, key = header.strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _route(request: Request) -> str:
    route = request.scope.get("route")
    return str(getattr(route, "path", "other"))
