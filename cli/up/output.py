"""Prints the lines of several programs readably into one stream; command.py and the supervisor use it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TextIO

COLOURS = (36, 33, 35, 32, 34)  # cyan, yellow, magenta, green, blue: the terminal's own, readable on light and dark
OURS = "greenroom"


class Output:
    """One stream, a prefix a program. May be used from several threads."""

    def __init__(self, stream: TextIO, names: Sequence[str], *, colour: bool) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._broken = False
        width = max(len(name) for name in (OURS, *names))
        self._prefixes = {OURS: f"{OURS:<{width}} | "}
        for index, name in enumerate(names):
            prefix = f"{name:<{width}} | "
            code = COLOURS[index % len(COLOURS)]
            self._prefixes[name] = f"\x1b[{code}m{prefix}\x1b[0m" if colour else prefix

    def line(self, name: str, text: str) -> None:
        """Print one line of the program `name`; empty ones are left out."""
        if text.strip():
            self._write(self._prefixes[name] + text.rstrip())

    def say(self, text: str) -> None:
        """Print one line of our own."""
        self.line(OURS, text)

    def plain(self, text: str) -> None:
        """Print one line as it is, for programs that wait for it."""
        self._write(text)

    def _write(self, line: str) -> None:
        """Write a line; a reader that has gone away (a closed pipe or terminal) must not end the programs."""
        with self._lock:
            if self._broken:
                return
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                self._broken = True
