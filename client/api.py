"""Asks the dispatcher's API for a session and what became of it, as any front end does; caller.py uses it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx

REQUEST_SECONDS = 15.0  # the longest start waits 10 s (`waitMs`), and half of that again
STOP_SECONDS = 6.0  # for a store that is slow for a moment: on an overloaded machine it misses one of its deadlines


class ControlError(Exception):
    """The API gave no useful answer."""


class NotReachable(ControlError):
    """Nothing answers at the address."""


class Refused(ControlError):
    """The API said no, and why. `retry_after`: seconds after which to ask again; None when it didn't say."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{message} ({code}, HTTP {status})")
        self.status = status
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True)
class StartAnswer:
    """The answer to a start.

    Attributes:
        session: The session's name, and its room's.
        url: Where LiveKit is.
        token: The caller's right to join; shown nowhere.
        status: The session's state when the answer was given.
        prewarmed: Whether a warm process was idle.
        reused: Whether the session existed already.
    """

    session: str
    url: str
    token: str
    status: str
    prewarmed: bool
    reused: bool

    def __repr__(self) -> str:
        return f"StartAnswer({self.session!r}, {self.status!r})"


class Control:
    """A client of one dispatcher. Close it."""

    def __init__(self, url: str, *, key: str | None = None) -> None:
        """`url` as `http://127.0.0.1:8080`; `key` is an API key, where the dispatcher wants one."""
        self.url = url.rstrip("/")
        self._secrets: dict[str, str] = {}  # of the sessions that were started here
        # trust_env=False: a proxy of the environment has no business between a caller and a server on loopback.
        self._http = httpx.AsyncClient(base_url=self.url, timeout=REQUEST_SECONDS, trust_env=False)
        if key is not None:
            self._http.headers["Authorization"] = f"Bearer {key}"

    async def open(self) -> None:
        """Connect, so that the next request's time isn't that of a first one: a front end's page came from somewhere.

        Raises NotReachable.
        """
        await self._request("GET", "/healthz")

    async def start(
        self,
        *,
        agent: str | None = None,
        config: dict[str, Any] | None = None,
        user_id: str | None = None,
        wait_ms: int | None = None,
    ) -> StartAnswer:
        """Ask for a session. `wait_ms` is how long the answer may wait for `ready`; None leaves that to the server."""
        given = {"agent": agent, "config": config, "userId": user_id}
        body = {name: value for name, value in given.items() if value is not None}
        params = {} if wait_ms is None else {"waitMs": wait_ms}
        answer = await self._ask("POST", "/api/session/start", json=body, params=params)
        try:
            self._secrets[str(answer["sessionId"])] = str(answer.get("sessionSecret", ""))
            return StartAnswer(
                session=str(answer["sessionId"]),
                url=str(answer["url"]),
                token=str(answer["token"]),
                status=str(answer["status"]),
                prewarmed=bool(answer.get("prewarmed")),
                reused=bool(answer.get("reused")),
            )
        except KeyError as error:
            raise ControlError(f"{self.url} answered a start without {error}: is it Greenroom?") from error

    async def stop(self, session: str, *, patience: float = STOP_SECONDS) -> None:
        """End a session; where the API says “not now” it is asked again when it says, for `patience` seconds.

        Raises as the other requests, and Refused once patience is at its end.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                await self._ask("POST", "/api/session/stop", json={"sessionId": session}, headers=self._proof(session))
            except Refused as refused:
                if refused.retry_after is None or time.monotonic() + refused.retry_after > deadline:
                    raise
                await asyncio.sleep(refused.retry_after)
            else:
                return

    async def session(self, session: str) -> dict[str, Any]:
        """What the API says of a session."""
        return await self._ask("GET", f"/api/session/{session}")

    async def timings(self, session: str) -> list[tuple[str, float]]:
        """Steps of a session's start: name, ms since its request was received."""
        answer = await self._ask("GET", f"/api/session/{session}/timings", headers=self._proof(session))
        return [(str(step["name"]), float(step["ms"])) for step in answer.get("steps", [])]

    def _proof(self, session: str) -> dict[str, str]:
        """The header that proves that this session is ours."""
        secret = self._secrets.get(session)
        return {"X-Session-Secret": secret} if secret else {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """The JSON object that answers. Raises NotReachable, Refused, or ControlError for what is no answer of ours."""
        response = await self._request(method, path, **kwargs)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ControlError(f"{self.url}{path} gave HTTP {response.status_code}, no JSON object: is it Greenroom?")
        if not response.is_success:
            reason = str(answer.get("error") or "no reason given")
            after = response.headers.get("retry-after", "")
            retry_after = float(after) if after.isdecimal() else None  # the other form, a date, isn't ours
            raise Refused(response.status_code, str(answer.get("code") or "unknown"), reason, retry_after)
        return answer

    async def _request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Whatever answers. Raises NotReachable, or ControlError when the way there fails otherwise."""
        try:
            return await self._http.request(method, path, **kwargs)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotReachable(
                f"nothing answers at {self.url}. Is Greenroom running? Start it with `make up`"
            ) from error
        except httpx.TimeoutException as error:
            raise ControlError(f"{self.url}{path} didn't answer within {REQUEST_SECONDS:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ControlError(f"asking {self.url}{path} failed: {error or type(error).__name__}") from error
