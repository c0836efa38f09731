"""What can be wrong with an author's tests, or with how they are asked for; raised all over this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class TestsUnusable(Exception):
    """The tests can't be run; the message is meant for their author."""

    __test__ = False  # for pytest, which takes every Test... for tests of its own


class TestFileError(TestsUnusable):
    """A file of tests can't be used.

    Args:
        path: The file.
        line: Line of the fault, 1-based, if known.
        problem: What is wrong.
        remedy: What to change.
    """

    def __init__(self, path: Path, line: int | None, problem: str, remedy: str) -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {problem}. {remedy}")
        self.path, self.line, self.problem, self.remedy = path, line, problem, remedy


class NoTests(TestsUnusable):
    """There is nothing to run.

    Args:
        folder: Where conversations were looked for.
        why: What is missing, as a sentence without its full stop.
        remedy: What to do.
    """

    def __init__(self, folder: Path, why: str, remedy: str) -> None:
        super().__init__(f"{folder}: {why}. {remedy}")


class Fault(NamedTuple):
    """One difference between what an author expects and what happened.

    Attributes:
        expected: What should have happened, or what went wrong.
        seen: What happened instead; may be empty.
    """

    expected: str
    seen: str = ""


class Unmet(Exception):
    """A conversation went otherwise than its author expects.

    Args:
        faults: How.
        line: Line of the expectation, 1-based, if known.
    """

    def __init__(self, faults: Sequence[Fault], line: int | None = None) -> None:
        super().__init__("; ".join(": ".join(filter(None, fault)) for fault in faults))
        self.faults, self.line = tuple(faults), line
