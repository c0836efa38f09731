"""What a caller has told us in this call, worked out from the messages; rules.py answers by it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline.local.rule_brain import words

MAX_KEPT = 200  # notes, facts, list items each: a caller who types without end must not slow its own agent
LEARNT_TEXTS = 512  # the caller's newest messages, whose facts are known and kept worked out; older ones are forgotten

CODES = re.compile(r"\b(number|code|pin|id|phone|zip|postcode|account|reference|digits|password|extension)\b")
_NAME = re.compile(r"\b(?:my (?:first |full )?name is|my names|call me|you can call me|this is)\s+(.+)")
_SELF = re.compile(r"^(?:(?:hello|hi|hey|yes|and|so|well|okay|oh) )*(?:im|i am|its)\s+(.+)")
_NAME_ENDS = frozenset(
    re.findall(
        r"\w+",
        "and but i im my from the a an here speaking calling is was please what whats can could would with not to of"
        " do you in on at for how who that again now or so then remember add",
    )
)
_NO_NAME = frozenset(
    re.findall(
        r"\w+",
        "fine good great okay ok well sorry sure happy sad tired late back ready done lost here there just really very"
        " so not going calling looking trying hungry busy alone interested new old glad afraid still also only it he"
        " she we they this that one two your listening thinking talking having doing kidding right wrong",
    )
)
_FACT = re.compile(
    r"^(?:(?:and|so|well|okay|yes|please|also|but) )*(?:(?:remember|note|know) (?:that )?)?"
    r"(?:my|the|our) ((?:[a-z]+ ){0,3}?[a-z]+) (?:is|are|was) (.+)"
)
_KEEP = re.compile(r"\b(?:remember|note down|make a note of|write down)\s+(?:that )?(?:(?:this|the|my|a) )?(.+)")
_ADD = re.compile(r"\b(?:add|adds|put)\s+(.+?)\s+(?:to|on|onto|in)\s+(?:my|the|our)?\s*(?:[a-z]+ )?list\b")
_TAKE = re.compile(
    r"\b(?:remove|delete|take|cross|scratch|drop)\s+(?:off |out )?(.+?)"
    r"(?:\s+(?:from|off|of|out of)(?: of)?\s+(?:my|the|our)?\s*(?:[a-z]+ )?list\b.*|\s+(?:off|out))?$"
)
_CLEAR = re.compile(r"\b(?:clear|empty|delete|erase)\s+(?:my|the|our)\s+(?:whole )?(?:[a-z]+ )?list\b")
_STATEMENT = re.compile(r"^(?:(?:and|so|well|also|but) )*((?:i|we|im|ive|were|my) .+)")
_NO_STATEMENT = re.compile(
    r"^(?:i|we) (?:want|need|would|would like|wanna|can|could|said|heard|guess|see|know|dont know|mean|do|did|think)\b"
)
_QUESTION = re.compile(
    r"^(?:(?:and|so|well|okay|now|please|hello|hi) )*(?:what|whats|which|who|whos|where|wheres|when|whens|why|how|hows"
    r"|do|does|did|can|could|would|will|is|are|am|tell me|say|read)\b"
)
_ABOUT_YOU = {"i": "you", "im": "you are", "ive": "you have", "my": "your", "me": "you", "we": "you", "our": "your"}
_ABOUT_YOU |= {"am": "are", "were": "you are", "mine": "yours", "myself": "yourself"}


@dataclass
class CallerFacts:
    """A caller's name, the facts by their name, the list, and everything else worth keeping, oldest first."""

    name: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    items: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Learnt:
    """One thing understood from one sentence: its kind, what it is called, and what it is."""

    kind: str  # name, fact, note, added, removed, cleared
    key: str = ""
    value: str = ""
    items: tuple[str, ...] = ()


def recalled(texts: Sequence[str]) -> CallerFacts:
    """All that is known after the caller said these things, in this order; of the last LEARNT_TEXTS of them.

    One more than the cache holds would have every turn work out all of them again.
    """
    memory = CallerFacts()
    for text in texts[-LEARNT_TEXTS:]:
        for learnt in _learnt_from(text):
            keep(memory, learnt)
    return memory


@lru_cache(LEARNT_TEXTS)
def _learnt_from(text: str) -> tuple[Learnt, ...]:
    """What a message tells: worked out once, not again at each turn that follows it."""
    return tuple(learnt for sentence in words.sentences(text) if (learnt := learn(sentence)))


def keep(memory: CallerFacts, learnt: Learnt) -> None:
    """Add to what is known; of more than MAX_KEPT notes or facts the oldest go, and a full list takes no more."""
    if learnt.kind == "name":
        memory.name = learnt.value
    elif learnt.kind == "fact":
        memory.facts.pop(learnt.key, None)
        memory.facts[learnt.key] = learnt.value
        if len(memory.facts) > MAX_KEPT:
            del memory.facts[next(iter(memory.facts))]
    elif learnt.kind == "note" and learnt.value not in memory.notes:
        memory.notes = [*memory.notes[-MAX_KEPT + 1 :], learnt.value]
    elif learnt.kind == "added":
        new = [item for item in learnt.items if item not in memory.items]
        memory.items = [*memory.items, *new][:MAX_KEPT]
    elif learnt.kind == "removed":
        memory.items = [item for item in memory.items if item not in learnt.items]
    elif learnt.kind == "cleared":
        memory.items = []


def is_question(said: str) -> bool:
    """Whether plain text asks for something rather than telling it."""
    return bool(_QUESTION.match(said))


def learn(sentence: str) -> Learnt | None:
    """What one sentence tells about the caller, or None.

    Args:
        sentence: As the recogniser wrote it; capitals help to know a name, but aren't needed after "my name is".
    """
    said = words.plain(sentence)
    changed = _list_change(words.plain(sentence.replace(",", " and ")))
    if changed:
        return changed
    if is_question(said) and not re.search(r"\b(?:remember|note) (?:that|the|my|this)\b", said):
        return None
    name = _name(sentence, said)
    if name:
        return Learnt("name", "name", name)
    return _fact(said, sentence) or _note(said, sentence)


def _list_change(said: str) -> Learnt | None:
    if _CLEAR.search(said):
        return Learnt("cleared")
    added = _ADD.search(said)
    if added:
        return Learnt("added", items=_items(added[1]))
    taken = _TAKE.search(said)
    if taken and (" list" in said or re.match(r"(?:please )?(?:remove|delete|cross|scratch)\b", said)):
        return Learnt("removed", items=_items(taken[1]))
    return None


def _items(said: str) -> tuple[str, ...]:
    parts = re.split(r"\s*\b(?:and\s+)+", said)
    return tuple(re.sub(r"^(?:some|a|an|the|also|please) ", "", part).strip() for part in parts if part.strip())


def _name(sentence: str, said: str) -> str:
    given = _NAME.search(said)
    if given and not (given[0].startswith("this is") and _is_common(given[1])):
        return _as_name(given[1])
    spoken = _SELF.match(said)
    if not spoken or _is_common(spoken[1]):
        return ""
    first = spoken[1].split()[0]
    written = {word.lower().replace("'", ""): word for word in words.split(sentence)}.get(first, first)
    alone = len(spoken[1].split()) == 1
    return _as_name(spoken[1]) if written[0].isupper() or alone else ""


def _is_common(said: str) -> bool:
    first = said.split()[0]
    return first in _NO_NAME or first in _NAME_ENDS or bool(words.number([first])) or first.endswith("ing")


def _as_name(said: str) -> str:
    taken = list[str]()
    for word in said.split():
        if word in _NAME_ENDS and not (taken and len(word) == 1) and not _spelt(said, word):
            break
        taken.append(word)
    if len(taken) > 1 and all(len(word) == 1 for word in taken):
        return "".join(taken).capitalize()
    return " ".join(word.capitalize() for word in taken[:3])


def _spelt(said: str, word: str) -> bool:
    """Whether a single letter belongs to a name that is spelled out: "a d a"."""
    return len(word) == 1 and all(len(other) == 1 for other in said.split()[:3])


def _fact(said: str, sentence: str) -> Learnt | None:
    told = _FACT.match(said)
    if told:
        return Learnt("fact", told[1], _value(told[1], told[2], sentence))
    kept = _KEEP.search(said)
    key = re.match(r"((?:[a-z]+ )*?(?:number|code|pin|digits))\s+(?:is\s+)?(.+)", kept[1]) if kept else None
    if key and words.code(key[2].split()):
        return Learnt("fact", key[1], words.code(key[2].split()))
    if kept and words.code(kept[1].split()):
        return Learnt("fact", "number", words.code(kept[1].split()))
    return None


def _value(key: str, said: str, sentence: str) -> str:
    said = re.sub(r"\s+(?:please|okay|thanks|thank you)$", "", said)
    if CODES.search(key):
        spelt = words.code(said.split())
        if spelt:
            return spelt
    return about_you(said, sentence)


def _note(said: str, sentence: str) -> Learnt | None:
    kept = re.search(r"\b(?:remember|note down|write down|make a note) (?:that )?(.+)", said)
    if kept and not re.match(r"(?:it|me|this|that)?$", kept[1]):
        return Learnt("note", value=about_you(kept[1], sentence))
    told = _STATEMENT.match(said)
    spoken = _SELF.match(said)
    if spoken and _is_common(spoken[1]) and len(spoken[1].split()) < 2:
        return None  # a mood, not a fact
    if told and len(said.split()) > 2 and not _NO_STATEMENT.match(told[1]):
        return Learnt("note", value=about_you(told[1], sentence))
    return None


def about_you(said: str, sentence: str) -> str:
    """What a caller says of themselves, said back to them.

    Args:
        said: Plain words: "i live in rome".
        sentence: Where they come from, for its capitals: "I live in Rome."

    Returns:
        "you live in Rome".
    """
    capitals = {word.lower(): word for word in words.split(sentence)[1:]}
    return " ".join(_ABOUT_YOU.get(word) or capitals.get(word, word) for word in said.split())
