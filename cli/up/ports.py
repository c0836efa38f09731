"""Finds out whether the ports are free before command.py starts anything."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass


class PortError(Exception):
    """A port can't be had; the message names the port and the setting that changes it, one line for each."""


@dataclass(frozen=True)
class Port:
    """A port that something will listen on."""

    number: int
    setting: str  # the environment variable that moves it
    use: str  # whose it is, for the message
    udp: bool = False
    host: str = "127.0.0.1"  # the address that will be bound


def check(ports: Iterable[Port]) -> None:
    """Raise PortError when one of `ports` is taken, may not be used, or is wanted twice."""
    faults: list[str] = []
    seen: dict[tuple[int, bool], Port] = {}
    for port in ports:
        other = seen.setdefault((port.number, port.udp), port)
        if other is not port:
            faults.append(f"port {port.number} is set twice: by {other.setting} and by {port.setting}")
        elif (fault := _fault(port)) is not None:
            faults.append(fault)
    if faults:
        raise PortError("\n".join(faults))


def _fault(port: Port) -> str | None:
    """Why `port` can't be bound, or None when it can."""
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if port.udp else socket.SOCK_STREAM) as probe:
        if not port.udp:
            # As servers do: the leavings of closed connections don't count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
            kind = "UDP" if port.udp else "TCP"
            return f"{kind} port {port.number} ({port.use}) {why}: free it, or set {port.setting} to another"
    return None
