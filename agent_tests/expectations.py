"""What an author expects of one exchange, and how it differs from what happened; the YAML form asks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_tests.errors import Fault
from greenroom.testing.exchange import Exchange


@dataclass(frozen=True)
class Expected:
    """All that must hold; what is empty or None doesn't matter.

    Attributes:
        said: Phrases that the agent says.
        not_said: Phrases that it doesn't.
        matches: Regular expression that is found in what it says, whatever the case.
        called: Tools that it calls, each with the arguments that matter.
        not_called: Tools that it doesn't.
        ended: Whether the call has ended, or as what.
        within: Seconds that the exchange may take.
        judge: Criteria for the judge.
    """

    said: tuple[str, ...] = ()
    not_said: tuple[str, ...] = ()
    matches: str | None = None
    called: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    not_called: tuple[str, ...] = ()
    ended: bool | str | None = None
    within: float | None = None
    judge: tuple[str, ...] = ()


def faults(expected: Expected, seen: Exchange) -> list[Fault]:
    """How an exchange differs from what is expected.

    Args:
        expected: By the author. The judge's criteria aren't looked at.
        seen: What happened.
    """
    said = f"the agent said “{seen.said}”" if seen.said else "the agent said nothing"
    called = _calls(seen)
    found = [Fault(f"said: “{phrase}”", said) for phrase in expected.said if not seen.says(phrase)]
    found += [Fault(f"not said: “{phrase}”", said) for phrase in expected.not_said if seen.says(phrase)]
    if expected.matches is not None and not re.search(expected.matches, seen.said, re.IGNORECASE):
        found.append(Fault(f"words that match {expected.matches}", said))
    found += [
        Fault(f"called: {shown(name, arguments)}", called)
        for name, arguments in expected.called
        if not seen.called(name, **arguments)
    ]
    found += [Fault(f"not called: {name}", called) for name in expected.not_called if seen.called(name)]
    if not _ended(expected.ended, seen.ended):
        wanted = f"ended: {str(expected.ended).lower()}"
        found.append(Fault(wanted, f"the call ended as {seen.ended}" if seen.ended else "the call goes on"))
    if expected.within is not None and seen.seconds > expected.within:
        found.append(Fault(f"within: {expected.within:g} s", f"it took {seen.seconds:.2f} s"))
    return found


def _ended(wanted: bool | str | None, ended: str) -> bool:
    if wanted is None:
        return True
    return wanted == ended if isinstance(wanted, str) else wanted == bool(ended)


def _calls(seen: Exchange) -> str:
    if not seen.tools:
        return "no tool was called"
    return "called was " + ", ".join(shown(call.name, call.arguments) for call in seen.tools)


def shown(name: str, arguments: Mapping[str, Any]) -> str:
    """A tool's call as authors read it: current_time(timezone="Europe/Vienna")."""
    inside = ", ".join(f"{key}={_quoted(value)}" for key, value in arguments.items())
    return f"{name}({inside})" if inside else name


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
