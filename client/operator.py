"""Asks the dispatcher's API what operators ask, and orders what they order; the commands of cli/operate.py use it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from client.api import Control, ControlError, Refused


class Operator(Control):
    """An operator's client of one dispatcher. Close it. Methods raise as Control's, and answer as docs/api.md says."""

    async def health(self) -> dict[str, Any]:
        """How the system is, also when it is not well."""
        response = await self._request("GET", "/api/health")
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or "status" not in answer:
            raise ControlError(f"{self.url}/api/health gave HTTP {response.status_code}: is it Greenroom?")
        return answer

    async def pool(self) -> dict[str, Any]:
        """The warm processes."""
        return await self._ask("GET", "/api/pool")

    async def resize(self, size: int) -> dict[str, Any]:
        """Want so many idle processes over all workers."""
        return await self._ask("POST", "/api/pool/resize", json={"size": size})

    async def workers(self) -> dict[str, Any]:
        """The workers that live."""
        return await self._ask("GET", "/api/workers")

    async def order(self, worker: str, order: str) -> dict[str, Any]:
        """Order a worker to `drain`, `cordon` or `uncordon`."""
        return await self._ask("POST", f"/api/workers/{quote(worker, safe='')}/{order}")

    async def test_alert(self) -> dict[str, Any]:
        """Have an alert posted that says it is a test."""
        return await self._ask("POST", "/api/alerts/test")

    async def sessions(self, **wanted: str | int | None) -> dict[str, Any]:
        """Sessions by the API's parameters; those that are None are not asked for."""
        params = {name: value for name, value in wanted.items() if value is not None}
        return await self._ask("GET", "/api/sessions", params=params)

    async def everything_of(self, session: str, *, transcript: bool) -> dict[str, Any]:
        """A session's record, the steps of its start, its log, and what was said where that is asked for."""
        way = f"/api/session/{quote(session, safe='')}"
        parts = ["timings", "logs", *(["transcript"] if transcript else [])]
        found = {"session": await self._ask("GET", way)}
        for part in parts:
            found[part] = await self._ask("GET", f"{way}/{part}")
        return found


def is_refusal_of_rights(error: Exception) -> bool:
    """Whether an operator's key would help."""
    return isinstance(error, Refused) and error.status in (401, 403)
