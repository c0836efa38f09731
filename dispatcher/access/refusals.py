"""Logs, counts and limits what access.py refuses: whoever tries keys is slowed down, and the log does not fill."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dispatcher.errors import RateLimited
from dispatcher.starts.limits import RateLimits, read_rate
from session.errors import StoreUnavailable

REFUSALS_RATE = "30/minute"  # of one address; a valid key is never counted

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusals:
    """Refusals over these parts. `counted`: called with the error of each."""

    limits: RateLimits
    counted: Callable[[Exception], None]

    async def answered(self, error: Exception, *, address: str, route: str) -> Exception:
        """The error to raise: the one given, or RateLimited beyond REFUSALS_RATE, which is not logged again.

        Args:
            error: why the request is refused.
            address: where it comes from.
            route: which route it asked for, without ids.
        """
        self.counted(error)
        rate = read_rate(REFUSALS_RATE)
        assert rate is not None
        try:
            await self.limits.count(rate, f"refused/{address}")
        except RateLimited as limited:
            return limited
        except StoreUnavailable:
            pass  # refused all the same
        _log.warning("event=access_refused route=%s why=%s address=%s", route, type(error).__name__, address)
        return error
