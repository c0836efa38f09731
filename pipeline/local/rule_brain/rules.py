"""What the rule brain answers to a conversation, by pure rules; service.py asks it for each turn.

All it remembers is worked out from the messages, so whoever restores the messages has restored the memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from pipeline.local.rule_brain import facts, words
from pipeline.local.rule_brain.tool_use import ToolRequest, ToolSpec, chosen, result_text
from pipeline.local.rule_brain.words import plain, sentences

Message = Mapping[str, Any]

TIME_TOOL = "current_time"
END_TOOL = "end_call"
ECHOED_WORDS = 20  # of what was heard: enough to know it again
GREETING = "Hello. How can I help?"
MORE = "What else can I do for you?"

# At the end of a sentence: in the middle of one it is more likely misheard, and a call that was hung up is gone.
_BYE = re.compile(
    r"\b(?:good ?bye|good by|bye|see you|hang up|end the call|thats all)"
    r"(?: for| now| then| today| tonight| tomorrow| later| soon| again| please| thanks| thank you| everybody| everyone"
    r"| take care| have a \w+ (?:day|evening|night|weekend|one))*$|^(?:good ?bye|bye) \w+$"
)
_REPEAT = re.compile(
    r"\b(?:(?:say|tell me) (?:that|it|this)(?: one more time| once more| again)|repeat(?: that| it| please| yourself)?"
    r"|come again|what did you (?:just )?say|say again|pardon)\b|^sorry$"
)
_TIME = re.compile(r"\b(?:what time|whats the time|what is the time|tell me the time|the current time|time is it)\b")
_DATE = re.compile(
    r"\b(?:what (?:day|date) is (?:it|today)|whats (?:the date|todays date)|what is (?:the|todays) date|what day)\b"
)
_LIST = re.compile(r"\b(?:what|whats|read|tell|show|say|is there|anything)\b.*\blist\b|^(?:my|the) (?:[a-z]+ )?list$")
_NAME = re.compile(r"\b(?:my name|who i am|who am i)\b")
_ALL = re.compile(
    r"\bwhat (?:did|have|do|else did) (?:i|you) (?:just )?(?:tell|told|say|said|know|remember|learn|learnt|learned)\b"
)
_RECALL = re.compile(
    r"\b(?:what|whats|which|when|whens|where|wheres|who|whos|how|tell me|say|remember|know|recall|give me|repeat)\b.*?"
    r"\b(my|the|our)\s+(.+?)(?: is| was| again| please| now| (?:that )?i (?:told|gave|said)(?: to)? ?(?:you)?)*$"
)
_TOLD = re.compile(
    r"\b(?:what|which) (?:was the )?(.+?) (?:did|have|was it) i (?:just )?(?:tell|told|give|given|say|said)\b"
)
_HELLO = re.compile(r"^(?:hello|hi|hey|good (?:morning|afternoon|evening)|hello there|hi there|hey there)\b")
_HOW = re.compile(r"\bhow are you\b|\bhows it going\b|\bhow do you do\b")
_THANKS = re.compile(r"\b(?:thanks|thank you)\b")
_WHO = re.compile(r"\b(?:who are you|what are you|whats your name|what is your name|who is this|introduce yourself)\b")
_ABLE = re.compile(r"\bwhat can you do\b|\bhelp me\b|^help$")
_ASSENT = re.compile(
    r"^(?:yes|yeah|yep|no|nope|okay|ok|all right|alright|sure|right|correct|fine|good|great)(?: please)?$"
)
_PERSONA = re.compile(r"\byou(?: are|'re) ([^.!?\n]{2,120})", re.IGNORECASE)
_FILLER = frozenset({"what", "whats", "where", "when", "who", "how", "do", "did", "does", "i", "is", "the", "a", "my"})
_FILLER |= {"to", "you", "are", "am", "in", "of", "me", "tell", "about", "it", "was", "say", "said"}
_GENERAL = frozenset({"number", "code"})  # of what, another word must say: an order number isn't an account number
_HOUR = re.compile(r"\b\d{1,2}:\d\d(?: ?[AP]M)?\b")


@dataclass(frozen=True)
class Reply:
    """What to say and, after it, which tool to call; both may be missing."""

    text: str = ""
    call: ToolRequest | None = None


@dataclass(frozen=True)
class RuleTurn:
    """All that a rule may look at: one sentence of the caller's, and what was before it."""

    sentence: str
    said: str
    known: facts.CallerFacts
    spoken: str  # the last thing we said
    prompt: str
    tools: Mapping[str, ToolSpec]
    now: datetime
    learnt: facts.Learnt | None


def reply(messages: Sequence[Message], tools: Sequence[ToolSpec], now: datetime, prompt: str = "") -> Reply:
    """What to answer to a conversation.

    Args:
        messages: In OpenAI's form, oldest first: roles system, developer, user, assistant, tool.
        tools: What may be called.
        now: The local time, told when no tool tells it.
        prompt: A system prompt that isn't among the messages.

    Returns:
        The answer to the last message; nothing if that is our own or a tool that still runs.
    """
    last = next((each for each in reversed(messages) if not _is_note(each)), {"role": "system"})
    told = [text_of(message) for message in messages if message.get("role") == "user"]
    if last.get("role") == "tool" or result_text(last):
        return Reply(_of_tools(messages, told))
    if last.get("role") == "assistant":
        return Reply()
    if last.get("role") != "user":
        return Reply(GREETING)
    ours = [text_of(message) for message in messages if message.get("role") == "assistant"]
    system = " ".join(text_of(message) for message in messages if message.get("role") in ("system", "developer"))
    offered = {tool.name: tool for tool in tools}
    spoken = next((text for text in reversed(ours) if text), "")
    answers = list[Reply]()
    known = facts.recalled(told[:-1])
    for sentence in sentences(told[-1]):
        learnt = facts.learn(sentence)
        if learnt is not None:
            facts.keep(known, learnt)
        turn = RuleTurn(sentence, plain(sentence), known, spoken, f"{prompt} {system}", offered, now, learnt)
        answers.append(_answer(turn))
    return _together(answers, told[-1])


def _is_note(message: Message) -> bool:
    """Whether it tells us something that isn't to be answered."""
    return message.get("role") == "developer" and not result_text(message)


def text_of(message: Message) -> str:
    """The words of a message, whose content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping)).strip()
    return content.strip() if isinstance(content, str) else ""


def _of_tools(messages: Sequence[Message], told: Sequence[str]) -> str:
    """The results of the tools that were called last, for the ear; a goodbye when the last of them ends the call."""
    names = {call["id"]: call["function"]["name"] for message in messages for call in message.get("tool_calls") or []}
    said = list[str]()
    for message in reversed(messages):
        result = result_text(message)
        name = names.get(message.get("tool_call_id", ""), "")
        if message.get("role") not in ("tool", "developer") and not message.get("tool_calls"):
            break
        if name == END_TOOL and result:
            return _farewell(facts.recalled(told).name)
        if result:
            said.insert(0, _the_time(result, plain(told[-1] if told else "")) if name == TIME_TOOL else result)
    return " ".join(said)


def _the_time(result: str, asked: str) -> str:
    """Only what was asked of "Monday, 23 November 2026, 14:05"."""
    hour = _HOUR.search(result)
    if hour is None:
        return result
    return f"It is {hour[0]}." if _TIME.search(asked) else f"It is {result[: hour.start()].rstrip(' ,') or result}."


def _together(answers: Sequence[Reply], heard: str) -> Reply:
    """One answer from those to each sentence; if no sentence was understood, what was heard."""
    texts = list(dict.fromkeys(answer.text for answer in answers if answer.text))
    call = next((answer.call for answer in answers if answer.call), None)
    if not texts and call is None:
        shown = heard.strip().rstrip(".!?").split()
        if not shown:
            return Reply("Sorry, I didn't hear that.")
        more = f"I don't know that. {MORE}" if facts.is_question(plain(heard)) else MORE
        return Reply(f"I heard: {' '.join(shown[:ECHOED_WORDS])}. {more}")
    if len(texts) > 1:
        texts = [text for text in texts if text not in (GREETING, MORE)] or texts[:1]
    return Reply(" ".join(texts), call)


def _answer(turn: RuleTurn) -> Reply:
    for rule in RULES:
        found = rule(turn)
        if found is not None:
            return found
    return Reply()


def _goodbye(turn: RuleTurn) -> Reply | None:
    if not _BYE.search(turn.said) or len(turn.said.split()) > 10:
        return None
    # A call ends after the words that follow the tool, so the goodbye comes with its result.
    return Reply(call=ToolRequest(END_TOOL)) if END_TOOL in turn.tools else Reply(_farewell(turn.known.name))


def _farewell(name: str) -> str:
    return f"Goodbye, {name}!" if name else "Goodbye!"


def _again(turn: RuleTurn) -> Reply | None:
    if not _REPEAT.search(turn.said) or re.search(r"\brepeat (?:my|the) \w", turn.said):
        return None
    return Reply(turn.spoken or "I haven't said anything yet.")


def _clock(turn: RuleTurn) -> Reply | None:
    if not _TIME.search(turn.said) and not _DATE.search(turn.said):
        return None
    tool = turn.tools.get(TIME_TOOL)
    if tool:
        return Reply(call=ToolRequest(TIME_TOOL, _zone(turn.said) if "timezone" in tool.properties else {}))
    if _TIME.search(turn.said):
        return Reply(f"It is {turn.now.hour % 12 or 12}:{turn.now:%M} {'PM' if turn.now.hour >= 12 else 'AM'}.")
    return Reply(f"Today is {turn.now:%A, %B} {turn.now.day}.")


def _zone(said: str) -> dict[str, str]:
    """The argument that names the zone of a place: "what time is it in new york"."""
    place = re.search(r"\bin ([a-z ]+?)(?: now| right now| please)*$", said)
    if not place:
        return {}
    city = place[1].title().replace(" ", "_")
    return {"timezone": next((zone for zone in sorted(available_timezones()) if zone.endswith(f"/{city}")), city)}


def _sum(turn: RuleTurn) -> Reply | None:
    answer = words.total(turn.said.split())
    return Reply(f"{answer}.") if answer else None


def _changed_list(turn: RuleTurn) -> Reply | None:
    if turn.learnt is None or turn.learnt.kind not in ("added", "removed", "cleared"):
        return None
    done = {"added": "I added", "removed": "I removed"}.get(turn.learnt.kind)
    begin = f"{done} {_series(turn.learnt.items)}." if done else "I cleared your list."
    return Reply(f"{begin} {_list_now(turn.known)}" if turn.known.items else begin)


def _list_now(known: facts.CallerFacts) -> str:
    return f"Your list has {_series(known.items)}." if known.items else "Your list is empty."


def _series(items: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def _read_list(turn: RuleTurn) -> Reply | None:
    return Reply(_list_now(turn.known)) if _LIST.search(turn.said) else None


def _tool(turn: RuleTurn) -> Reply | None:
    others = [tool for name, tool in turn.tools.items() if name not in (TIME_TOOL, END_TOOL)]
    call, question = chosen(turn.sentence, others)
    return Reply(question, call) if call or question else None


def _learnt(turn: RuleTurn) -> Reply | None:
    learnt = turn.learnt
    if learnt is None:
        return None
    if learnt.kind == "name":
        return Reply(f"Nice to meet you, {learnt.value}.")
    if learnt.kind == "fact":
        whose = "Your" if re.search(r"\bmy\b", turn.said) else "The"
        return Reply(f"Got it. {whose} {learnt.key} is {learnt.value}.")
    return Reply(f"I'll remember that {learnt.value}.")


def _all_known(turn: RuleTurn) -> Reply | None:
    if not _ALL.search(turn.said):
        return None
    known = [f"your name is {turn.known.name}"] if turn.known.name else []
    known += [f"your {key} is {value}" for key, value in turn.known.facts.items()]
    known += turn.known.notes
    known += [f"your list has {_series(turn.known.items)}"] if turn.known.items else []
    return Reply(f"You told me this: {'; '.join(known)}." if known else "You haven't told me anything yet.")


def _my_name(turn: RuleTurn) -> Reply | None:
    if not _NAME.search(turn.said):
        return None
    return Reply(f"Your name is {turn.known.name}." if turn.known.name else "You haven't told me your name yet.")


def _recall(turn: RuleTurn) -> Reply | None:
    asked = _RECALL.search(turn.said) or _TOLD.search(turn.said)
    mine = bool(asked and asked[1] == "my")
    key = _nearest(asked[asked.lastindex or 1], turn.known.facts) if asked else ""
    if key:
        return Reply(f"{'Your' if mine else 'The'} {key} is {turn.known.facts[key]}.")
    note = _about(turn.said, turn.known.notes) if facts.is_question(turn.said) else ""
    if note:
        return Reply(f"You told me that {note}.")
    return Reply(f"You haven't told me your {asked[2]} yet.") if asked and mine else None


def _nearest(asked: str, facts: Mapping[str, str]) -> str:
    """The newest fact that has that name, or else one that a word of the question names."""
    if asked in facts:
        return asked
    said = {_stem(word) for word in asked.split()} - _FILLER
    for key in reversed(list(facts)):
        own = {_stem(word) for word in key.split()}
        if said and (said <= own or (own <= said and not own <= _GENERAL)):
            return key
    return ""


def _about(said: str, notes: Sequence[str]) -> str:
    asked = {_stem(word) for word in said.split()} - _FILLER
    best = max(reversed(notes), key=lambda note: len(asked & {_stem(w) for w in plain(note).split()}), default="")
    return best if asked & {_stem(word) for word in plain(best).split()} else ""


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 else word.replace("favorite", "favourite")


def _courtesy(turn: RuleTurn) -> Reply | None:
    if _WHO.search(turn.said):
        return Reply(_persona(turn.prompt))
    if _HOW.search(turn.said):
        return Reply("I'm well, thank you. How can I help?")
    if _ABLE.search(turn.said):
        return Reply("I can help. I remember what you tell me, do sums, and know the time.")
    if _THANKS.search(turn.said):
        return Reply("You're welcome. Anything else?")
    if _HELLO.search(turn.said) and len(turn.said.split()) < 5:
        return Reply(f"Hello, {turn.known.name}. How can I help?" if turn.known.name else GREETING)
    return Reply(f"All right. {MORE}") if _ASSENT.match(turn.said) else None


def _persona(prompt: str) -> str:
    found = _PERSONA.search(prompt)
    return f"I'm {found[1].strip()}." if found else "I'm a voice agent, and I remember what you tell me."


RULES: tuple[Callable[[RuleTurn], Reply | None], ...] = (
    _goodbye,
    _again,
    _clock,
    _changed_list,
    _read_list,
    _sum,
    _tool,
    _all_known,
    _learnt,
    _my_name,
    _courtesy,
    _recall,
)
