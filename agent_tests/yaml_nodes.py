"""Reads YAML with the line of everything in it, and says what is wrong with a file and where; yaml_form.py uses it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from agent_tests.errors import TestFileError

Node = yaml.Node
TEXT, DATE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """YAML without what takes its writers by surprise: times (10:05, else 605) and dates are texts."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        """The tag of something that was written without one."""
        tag = str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call] # of PyYAML
        numeral = tag.endswith((":int", ":float"))
        return TEXT if tag == DATE or (numeral and ":" in value) else tag


class YamlFile:
    """One file of YAML.

    Args:
        path: The file.

    Raises:
        TestFileError: It can't be read, or isn't YAML.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._loader = _Loader(path.read_text("utf-8"))
            self.root = self._loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark is not None else None
            remedy = "Correct the line; indent with spaces, and put text with : or # in it between quotes"
            raise TestFileError(path, line, f"is not valid YAML: {error.problem}", remedy) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise TestFileError(path, None, f"can't be read: {error}", "Save it as text in UTF-8") from error

    def fault(self, at: Node | int, problem: str, remedy: str) -> TestFileError:
        """The error for something in this file, at a node or a line."""
        return TestFileError(self.path, at if isinstance(at, int) else line_of(at), problem, remedy)

    def mapping(self, node: Node, called: str, known: Iterable[str] | None = None) -> dict[str, tuple[Node, Node]]:
        """The entries of a mapping: name -> the nodes of name and value.

        Args:
            node: What should be a mapping.
            called: What it is, for errors.
            known: The names that it may have; None: any.

        Raises:
            TestFileError: It is none, a name is unknown, or a name stands in it twice.
        """
        names = None if known is None else sorted(known)
        if not isinstance(node, yaml.MappingNode):
            example = f"It may have: {', '.join(names)}" if names else "For example name: value"
            raise self.fault(node, f"{called} must be names with values", example)
        found: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            name = self.text(key, f"a name in {called}")
            if names is not None and name not in names:
                raise self.fault(
                    key, f"{called} has no {name!r}", f"{meant(name, names)}It may have: {', '.join(names)}"
                )
            if name in found:
                raise self.fault(key, f"{name!r} stands twice in {called}", "Write it once, with a list if need be")
            found[name] = (key, value)
        return found

    def text(self, node: Node, called: str) -> str:
        """A text, as it is written: 9.5 and yes are texts, too.

        Raises:
            TestFileError: It is none.
        """
        if not isinstance(node, yaml.ScalarNode):
            raise self.fault(node, f"{called} must be a text", "Write it on one line, between quotes if need be")
        return str(node.value)

    def some_text(self, node: Node, called: str) -> str:
        """A text that isn't empty. Raises TestFileError."""
        text = self.text(node, called)
        if not text.strip():
            raise self.fault(node, f"{called} is empty", "Write a text, or remove the line")
        return text

    def items(self, node: Node) -> list[Node]:
        """The items of a list; of anything else, that alone."""
        return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]

    def texts(self, node: Node, called: str) -> tuple[str, ...]:
        """One text or a list of them, none of them empty. Raises TestFileError."""
        if not (items := self.items(node)):
            raise self.fault(node, f"{called} is empty", "Write a text, or remove the line")
        return tuple(self.some_text(item, called) for item in items)

    def value(self, node: Node) -> Any:
        """Whatever it is, as YAML understands it. Raises TestFileError."""
        try:
            return self._loader.construct_object(node, deep=True)
        except yaml.YAMLError as error:
            raise self.fault(node, "has a value that YAML can't read", "Put it between quotes") from error


def meant(written: str, known: Iterable[str]) -> str:
    """A question after the known name that is nearest to what was written; empty when none is near."""
    close = difflib.get_close_matches(written, known, 1)
    return f"Did you mean {close[0]!r}? " if close else ""


def line_of(node: Node) -> int:
    """The line on which something begins, 1-based."""
    return int(node.start_mark.line) + 1
