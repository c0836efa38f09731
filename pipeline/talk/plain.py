"""Takes the marks of Markdown out of a text and leaves its words and numbers alone; unspoken.py uses it."""

from __future__ import annotations

import re

LONGEST = 500  # characters held back at most until it is clear whether they are a mark or a link

# What may begin a line: a rule, the fence of a block of code, a heading, a list's item, a quotation, a table's row.
_BLOCK = re.compile(
    r"[ \t]*(?:"
    r"(?P<rule>(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,}|={3,}[ \t]*|\|[-:|= \t]+)(?=\n|\Z))"
    r"|(?P<fence>(?:```|~~~)[^\n]*(?:\n|\Z))"
    r"|\#{1,6}[ \t]+|[-+*\u2022][ \t]+|(?P<quote>>[ \t]?)|(?P<row>\|[ \t]*))"
)
_BLOCK_BEGUN = re.compile(r"[ \t]*(?:\#{0,6}[ \t]*|[-+*_=|:\u2022 \t]*|>|`{1,2}|(?:```|~~~)[^\n]*)")
_INLINE = re.compile(r"\n|\*+|_+|~+|`+|\\|!?\[|!\Z|[ \t]{0,9}\|")
_IN_ROW = re.compile(_INLINE.pattern + r"|[ \t]{1,9}\Z")
_AFTER_CELL = re.compile(r"[ \t]*(?P<over>\n|\Z)?")
_ESCAPED = frozenset("\\`*_{}[]()#+-.!|~>")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?:[ \t]+\"[^\"\n]*\")?\)")
_LINK_BEGUN = re.compile(r"!?\[[^\[\]\n]*(?:\](?:\([^\s]*(?:[ \t]+(?:\"[^\"\n]*\"?)?)?)?)?")
_BEGINS_WORD = frozenset("\"'([{`*_~$-+#@&\u20ac\u00a3\u201c\u2018\u00ab\u00bf\u00a1")


class PlainText:
    """One answer's text as it streams in; gives it without Markdown. Linear in the text."""

    def __init__(self) -> None:
        self._held = ""
        self._at_start, self._in_row = True, False
        self._last, self._last_word = "", ""  # characters before here: the last one, and the last that is no space
        self._open = dict.fromkeys("*_~", 0)  # marks of emphasis that have begun and not ended

    def feed(self, text: str) -> str:
        """The plain words among these and those held back before; what may be a mark waits for what follows it."""
        return self._take(text, final=False)

    def end(self) -> str:
        """The answer is over: what was held back."""
        return self._take("", final=True)

    def _take(self, more: str, *, final: bool) -> str:
        text, at, plain = self._held + more, 0, list[str]()
        while at < len(text):
            waits = not final and len(text) - at <= LONGEST
            step = self._block(text, at, waits) if self._at_start else self._inline(text, at, waits)
            if step is None:
                break
            words, at = step
            plain.append(words)
            self._last = words[-1:] or self._last
            self._last_word = words.rstrip()[-1:] or self._last_word
        self._held = text[at:]
        return "".join(plain)

    def _block(self, text: str, at: int, waits: bool) -> tuple[str, int] | None:
        """What a line's beginning says, and where it ends; None if more of the line must be seen."""
        if waits and _BLOCK_BEGUN.fullmatch(text, at):
            return None
        found = _BLOCK.match(text, at)
        if found is None:
            self._at_start = False
            return "", at
        self._at_start = bool(found["fence"] or found["quote"])
        self._in_row = bool(found["row"])
        self._last = ""
        return "", found.end()

    def _inline(self, text: str, at: int, waits: bool) -> tuple[str, int] | None:
        """The words up to the next mark, or what that mark says, and where it ends; None as in `_block`."""
        found = (_IN_ROW if self._in_row else _INLINE).search(text, at)
        if found is None:
            return text[at:], len(text)
        if found.start() > at:
            return text[at : found.start()], found.start()
        mark, end = found[0], found.end()
        if mark == "\n":
            self._at_start, self._in_row, self._last = True, False, ""
            return "\n", end
        if mark.endswith("["):
            return self._link(text, at, waits)
        if waits and end == len(text):
            return None
        follows = text[end : end + 1]
        if mark == "\\":
            return (follows, end + 1) if follows in _ESCAPED else (mark, end)
        if mark.endswith("|") and self._in_row:
            return self._cell(text, end, waits)
        if mark == "!" or mark[-1] in " \t|":
            return mark, end
        return "" if mark[0] == "`" or self._emphasises(mark, follows) else mark, end

    def _cell(self, text: str, at: int, waits: bool) -> tuple[str, int] | None:
        after = _AFTER_CELL.match(text, at)
        over = after["over"] if after is not None else None
        if over is None:
            return ",", at
        return None if not over and waits else ("", at)

    def _link(self, text: str, at: int, waits: bool) -> tuple[str, int] | None:
        link = _LINK.match(text, at)
        if link is not None:
            label = PlainText()
            label._at_start = False
            return label.feed(link[1]) + label.end(), link.end()
        if waits and _LINK_BEGUN.fullmatch(text, at):
            return None
        return text[at], at + 1

    def _emphasises(self, mark: str, follows: str) -> bool:
        """Whether this mark begins or ends an emphasis; it may also be a sign, or part of a name."""
        kind = mark[0]
        before = self._last
        if kind == "~" and len(mark) != 2:
            return False
        ends = self._open[kind] > 0 and bool(before.strip())
        if ends and not (kind == "_" and follows.isalnum()):
            self._open[kind] = max(0, self._open[kind] - len(mark))
            return True
        sign = self._last_word.isdigit() and follows.isdigit()
        inside = before.isalnum() and (kind != "*" or len(mark) < 2)
        if sign or inside or not (follows.isalnum() or follows in _BEGINS_WORD):
            return False
        self._open[kind] += len(mark)
        return True
