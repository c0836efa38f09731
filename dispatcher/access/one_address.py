"""Notices that all starts come from one private address, an untrusted proxy's; the start route asks."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from ipaddress import ip_address

ENOUGH = 20  # starts from one private address and no other, before the warning

_log = logging.getLogger(__name__)


@dataclass
class OneAddress:
    """Watches the addresses of starts without an API key; warns once."""

    _address: str | None = None
    _starts: int = 0
    _done: bool = False

    def saw(self, address: str) -> bool:
        """Note a start's address; gives whether the warning was logged now."""
        if self._done:
            return False
        if self._address is None:
            self._address = address
        if address != self._address or not _is_private(address):
            self._done = True  # callers can be told apart
            return False
        self._starts += 1
        if self._starts < ENOUGH:
            return False
        self._done = True
        _log.warning(
            "event=one_address address=%s starts=%d; name the proxy in GREENROOM_TRUSTED_PROXIES, or all its callers "
            "share one limit",
            address,
            self._starts,
        )
        return True


def _is_private(address: str) -> bool:
    try:
        return ip_address(address.partition("/")[0]).is_private
    except ValueError:
        return False
