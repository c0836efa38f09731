"""Prints a conversation while it goes on, for `greenroom call`."""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from client.transcript import TranscriptLine

STYLE = {"user": "bold cyan", "agent": "bold green"}
ERASE = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
NAME = {"user": "you  ", "agent": "agent"}


class LiveTranscript:
    """Each line once, when it is final; on a terminal also the one that is being said now, in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed: set[tuple[str, str]] = set()
        self._open: dict[tuple[str, str], TranscriptLine] = {}
        self._pending = False

    def show(self, line: TranscriptLine) -> None:
        """Take note of a line, new or changed."""
        key = (line.speaker, line.segment)
        if key in self._printed:
            return
        if not line.text:
            self._forget(key)
            return
        if line.final:
            self._print(line)
            return
        self._open[key] = line
        if self._console.is_terminal:
            self._clear()
            words = self._rendered(line)
            words.truncate(max(self._console.width - 1, 10), overflow="ellipsis")
            self._console.print(words, end="\r")
            self._pending = True

    def close(self) -> None:
        """Print what never became final."""
        for line in list(self._open.values()):
            self._print(line)

    def _print(self, line: TranscriptLine) -> None:
        self._clear()
        self._console.print(self._rendered(line))
        self._printed.add((line.speaker, line.segment))
        self._open.pop((line.speaker, line.segment), None)

    def _forget(self, key: tuple[str, str]) -> None:
        if self._open.pop(key, None) is not None:
            self._clear()

    def _clear(self) -> None:
        if self._pending:
            self._console.control(ERASE)
            self._pending = False

    @staticmethod
    def _rendered(line: TranscriptLine) -> Text:
        return Text.assemble((NAME[line.speaker], STYLE[line.speaker]), "  ", line.text)
