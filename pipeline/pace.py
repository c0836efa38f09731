"""How much of a text a voice has said after some time; talk/heard.py and fallback/utterances.py ask it."""

from __future__ import annotations

SECONDS_PER_CHARACTER = 0.065  # an English voice at about 15 characters a second; used while a sentence is still
# being synthesised, so that a cut does not take its first chunk of audio for the whole


def whole_words(text: str, share: float) -> str:
    """The beginning of `text` that fits into `share` (0 to 1) of its length, cut at a word's end."""
    limit = int(len(text) * share)
    if limit >= len(text):
        return text
    head = text[:limit]
    if text[limit].isspace() or head[-1:].isspace():
        return head.rstrip()
    return head.rsplit(None, 1)[0].rstrip() if len(head.split()) > 1 else ""
