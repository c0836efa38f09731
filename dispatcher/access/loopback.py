"""Whether a request comes from this machine itself; access.py asks, and trusts it where there are no keys."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "cf-connecting-ip")
"""Headers that a proxy adds. Behind a proxy on this machine every peer is 127.0.0.1."""


def from_loopback(peer: str | None, headers: Mapping[str, str], *, ip_header: str = "") -> bool:
    """Whether a program on this machine sent the request, for itself.

    Three things must hold: the peer's address is a loopback address, `Host` is a loopback name, and no proxy has
    forwarded the request. A web page that had its own name resolve to 127.0.0.1 fails the second.

    Args:
        peer: the address of who is connected to us; None where that has none.
        headers: of the request, by lower-case name.
        ip_header: another header that our proxies add, lower-case; "" where they add none.
    """
    if any(name in headers for name in (*FORWARDED, ip_header) if name):
        return False
    return is_loopback_address(peer or "") and is_loopback_name(host_name(headers.get("host", "")))


def host_name(host: str) -> str:
    """The name in a `Host` header, lower-case and without port: `[::1]:8080` gives `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def is_loopback_name(name: str) -> bool:
    """Whether this host name can only mean this machine."""
    return name == "localhost" or is_loopback_address(name)


def is_loopback_address(text: str) -> bool:
    """Whether this is an address in 127.0.0.0/8, or ::1."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
