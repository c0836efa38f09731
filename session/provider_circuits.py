"""The circuits of providers among those in the store: calls report to them, and the dispatcher shows the open ones."""

from __future__ import annotations

from collections.abc import Iterable

PREFIX = "provider:"  # the circuits of agents' starts have names of another kind


def circuit_of(key: str) -> str:
    """The name in the store of a provider's circuit.

    Args:
        key: kind, provider and a digest of the credential, with slashes between: "llm/groq/0f3a…".
    """
    return PREFIX + key


def key_of(circuit: str) -> str:
    """The key by which a circuit was named."""
    return circuit.removeprefix(PREFIX)


def failing(circuits: Iterable[str]) -> list[tuple[str, str]]:
    """Kind and name of the providers whose circuits these are, each once, in order.

    Args:
        circuits: names in the store.
    """
    parts = (key_of(circuit).split("/") for circuit in circuits)
    return sorted({(part[0], part[1]) for part in parts if len(part) > 1})
