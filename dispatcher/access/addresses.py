"""Which address a request comes from, through trusted proxies, by pure rules; the start route limits by it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
UNKNOWN = "unknown"  # where a connection has no address; all of them count as one
_WITH_PORT = re.compile(r"(?P<v4>[0-9.]+):[0-9]{1,5}|\[(?P<v6>[^\]]+)\](:[0-9]{1,5})?")
_ONE_HOLDER = 64  # bits of an IPv6 address: who has one such network has all its addresses


def client_address(peer: str | None, forwarded: str, trusted: Sequence[Network]) -> str:
    """The nearest address that is not a trusted proxy's: what stands before it anybody may have written.

    Args:
        peer: who is connected to us; None where that has no address.
        forwarded: all of X-Forwarded-For, joined by commas; each proxy adds its peer at the end. Or the header of a
            proxy that writes one address only (GREENROOM_CLIENT_IP_HEADER).
        trusted: the proxies whose entries are believed.

    Returns:
        An IPv4 address, or an IPv6 network of 64 bits; the last trusted proxy's, where no other can be read.
    """
    found = _read(peer or "")
    if found is None:
        return UNKNOWN
    for entry in reversed(forwarded.split(",")):
        before = _read(entry.strip())
        if before is None or not any(found in network for network in trusted):
            break
        found = before
    return str(found) if isinstance(found, IPv4Address) else str(IPv6Network((int(found), _ONE_HOLDER), strict=False))


def is_within(address: str, network: Network) -> bool:
    """Whether an address as `client_address` gives it lies in this network."""
    try:
        found = ip_network(address)
    except ValueError:
        return False  # it is UNKNOWN
    return found.version == network.version and found.network_address in network


def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address, as IPv4 where it is one inside of IPv6; None: it is none. Some proxies write a port behind it."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        found = ip_address(text if with_port is None else with_port["v4"] or with_port["v6"])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
