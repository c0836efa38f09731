"""Conversations that were written in YAML: what the caller says, and what is expected of the agent."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_tests.cases import Case
from agent_tests.errors import Fault, Unmet
from agent_tests.expectations import Expected, faults
from agent_tests.yaml_nodes import Node, YamlFile, line_of, meant
from greenroom.testing.caller import CallEnded, Caller, Unfinished
from greenroom.testing.script import Answer, Failure, Piece, ToolRequest
from session.record import EndReason, ErrorReason

FILE = ("agent", "conversations")
CONVERSATION = ("name", "agent", "brain", "tools", "talk")
TURN = ("caller", "interrupts", "said", "not said", "matches", "called", "not called", "ended", "within", "judge")
PIECE = ("calls", "fails", "with")
ERRORS = range(400, 600)  # HTTP's
REASONS = sorted(reason.value for kind in (EndReason, ErrorReason) for reason in kind)


@dataclass(frozen=True)
class Turn:
    """One entry of a talk.

    Attributes:
        line: Where it stands, 1-based.
        caller: What the caller says; None: nothing yet, as at the greeting.
        interrupts: What the caller says over the answer; empty: nothing.
        expected: What is expected then.
    """

    line: int
    caller: str | None
    interrupts: str
    expected: Expected


def read(path: Path, default_agent: str) -> list[Case]:
    """Read the conversations of a file.

    Args:
        path: The file.
        default_agent: Name of the agent, where the file names none.

    Raises:
        TestFileError: It can't be used; says where and what to change.
    """
    file = YamlFile(path)
    if file.root is None:
        return []
    entries = file.mapping(file.root, "the file", FILE)
    if "conversations" not in entries:
        raise file.fault(
            file.root, "has no conversations", "Write conversations: and below it a list, each with a name"
        )
    agent = file.some_text(entries["agent"][1], "agent") if "agent" in entries else default_agent
    cases = [_case(file, node, agent) for node in file.items(entries["conversations"][1])]
    taken: set[str] = set()
    for case in cases:
        if case.name in taken:
            raise file.fault(case.line, f"two conversations are called {case.name!r}", "Rename one of them")
        taken.add(case.name)
    return cases


def _case(file: YamlFile, node: Node, agent: str) -> Case:
    entries = file.mapping(node, "a conversation", CONVERSATION)
    for needed, example in (("name", "name: tells the time"), ("talk", "talk: and below it what the caller says")):
        if needed not in entries:
            raise file.fault(node, f"a conversation has no {needed}", f"Write {example}")
    turns = [_turn(file, item, first=at == 0) for at, item in enumerate(file.items(entries["talk"][1]))]
    if not turns:
        raise file.fault(entries["talk"][0], "the talk is empty", "Write - caller: and what the caller says")
    if all(turn.expected == Expected() for turn in turns):
        raise file.fault(node, "the conversation expects nothing", "Write said: or called: below what the caller says")
    stubs = file.mapping(entries["tools"][1], "tools") if "tools" in entries else {}
    return Case(
        name=file.some_text(entries["name"][1], "name"),
        path=file.path,
        line=line_of(node),
        agent=file.some_text(entries["agent"][1], "agent") if "agent" in entries else agent,
        play=_playing(turns),
        brain=_brain(file, entries["brain"][1]) if "brain" in entries else None,
        tools={name: file.value(value) for name, (_, value) in stubs.items()},
        names=(*((name, line_of(key)) for name, (key, _) in stubs.items()), *_names(turns)),
    )


def _names(turns: Sequence[Turn]) -> list[tuple[str, int]]:
    return [
        (name, turn.line)
        for turn in turns
        for name in (*(called for called, _ in turn.expected.called), *turn.expected.not_called)
    ]


def _turn(file: YamlFile, node: Node, *, first: bool) -> Turn:
    entries = file.mapping(node, "a turn", TURN)
    if "caller" not in entries and not first:
        raise file.fault(
            node, "the turn has no caller", "Write what the caller says; only the first may be the greeting's"
        )
    if "interrupts" in entries and "caller" not in entries:
        raise file.fault(node, "there is no answer to be interrupted", "Write caller: too, and what the agent answers")
    if not entries:
        raise file.fault(node, "the turn is empty", "Write caller: or said:")
    given: dict[str, Any] = {}
    for name in ("said", "not said", "not called", "judge"):
        if name in entries:
            given[name.replace(" ", "_")] = file.texts(entries[name][1], name)
    if "matches" in entries:
        given["matches"] = _pattern(file, entries["matches"][1])
    if "called" in entries:
        given["called"] = _called(file, entries["called"][1])
    if "ended" in entries:
        given["ended"] = _ended(file, entries["ended"][1])
    if "within" in entries:
        given["within"] = _seconds(file, entries["within"][1])
    caller = file.some_text(entries["caller"][1], "caller") if "caller" in entries else None
    interrupts = file.some_text(entries["interrupts"][1], "interrupts") if "interrupts" in entries else ""
    return Turn(line_of(node), caller, interrupts, Expected(**given))


def _pattern(file: YamlFile, node: Node) -> str:
    written = file.some_text(node, "matches")
    try:
        re.compile(written)
    except re.error as error:
        raise file.fault(node, f"matches is no regular expression: {error}", "Use said for plain words") from error
    return written


def _called(file: YamlFile, node: Node) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    for item in file.items(node):
        if isinstance(item.value, str):
            found.append((file.some_text(item, "called"), {}))
            continue
        for name, (_, arguments) in file.mapping(item, "called").items():
            values = file.mapping(arguments, f"the arguments of {name}")
            found.append((name, {key: file.value(value) for key, (_, value) in values.items()}))
    return tuple(found)


def _ended(file: YamlFile, node: Node) -> bool | str:
    value = file.value(node)
    if not isinstance(value, bool | str):
        raise file.fault(node, "ended must be true, false or a reason", "For example ended: true")
    if isinstance(value, str) and value not in REASONS:
        known = f"{meant(value, REASONS)}There are: {', '.join(REASONS)}"
        raise file.fault(node, f"no call ends as {value!r}", known)
    return value


def _seconds(file: YamlFile, node: Node) -> float:
    value = file.value(node)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise file.fault(node, "within must be a number of seconds", "For example within: 2")
    return float(value)


def _brain(file: YamlFile, node: Node) -> tuple[Answer, ...]:
    return tuple(tuple(_piece(file, piece) for piece in file.items(item)) for item in file.items(node))


def _piece(file: YamlFile, node: Node) -> Piece:
    if isinstance(node.value, str):
        return file.text(node, "an answer of the brain")
    entries = file.mapping(node, "an answer of the brain", PIECE)
    if "fails" in entries:
        return Failure(_status(file, entries["fails"][1]))
    if "calls" not in entries:
        raise file.fault(node, "the answer has no calls", "Write a text, or calls: and the tool's name")
    arguments = file.mapping(entries["with"][1], "with") if "with" in entries else {}
    values = {name: file.value(value) for name, (_, value) in arguments.items()}
    return ToolRequest(file.some_text(entries["calls"][1], "calls"), values)


def _status(file: YamlFile, node: Node) -> int:
    value = file.value(node)
    if value not in ERRORS:
        raise file.fault(node, "fails must be an error's status in HTTP", "For example fails: 429")
    return int(value)


def _playing(turns: Sequence[Turn]) -> Callable[[Caller], Awaitable[None]]:
    async def play(caller: Caller) -> None:
        for turn in turns:
            try:
                if turn.caller is not None:
                    await caller.says(turn.caller, interrupts=turn.interrupts)
            except (CallEnded, Unfinished) as error:
                raise Unmet([Fault(str(error))], turn.line) from error
            found = faults(turn.expected, caller.exchanges[-1])
            for criterion in turn.expected.judge:
                verdict = await caller.judge(criterion)
                if not verdict:
                    found.append(Fault(f"judge: “{criterion}”", verdict.reason))
            if found:
                raise Unmet(found, turn.line)

    return play
