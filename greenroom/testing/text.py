"""Holds a conversation in text, with the agent's brain, prompt, tools and pipeline; the test runner uses it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from greenroom.testing.caller import Unfinished
from greenroom.testing.exchange import Exchange, ToolCall
from greenroom.testing.script import Answer, ScriptedBrain
from greenroom.testing.settling import RUNNING, NotSettled, SettlingConversation
from greenroom.testing.watching import check_names, watched
from pipeline.agents.definition import Agent, ResolvedAgent
from pipeline.fallback.candidates import Candidate
from pipeline.providers import candidates
from pipeline.providers.spec import let_go
from pipeline.settings import PipelineSettings
from pipeline.talk.turn_observer import Activity
from runtime.background import Background
from session.record import EndReason, ErrorReason

ANSWER_SECONDS = 60.0  # tools have 10 s each, and a provider may be asked twice
PATIENCE_SECONDS = 3.0  # for what comes by itself after a failure, such as another try


SCRIPT_TOO_SHORT = (
    "the brain was asked more often than its script has answers ({answers}). If that is right, add an answer"
)


class Heard:
    """A `Listener` that keeps what an author's test looks at."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended = ""

    def agent_said(self, text: str, *, interrupted: bool) -> None:
        """Keep what was heard."""
        if text.strip():
            self.said.append(text.strip())

    def provider_failed(self, provider: str, *, permanent: bool) -> None:
        """The call ends."""
        self.ended = self.ended or ErrorReason.PROVIDER_FAILED.value

    def agent_failed(self, where: str) -> None:
        """The call ends."""
        self.ended = self.ended or ErrorReason.AGENT_FAILED.value

    def wants_to_end(self) -> None:
        """The call ends."""
        self.ended = self.ended or EndReason.FINISHED.value

    def agent_state(self, state: str) -> None:
        """Not looked at."""

    def activity(self, what: Activity) -> None:
        """Not looked at."""

    def user_words(self, text: str, *, final: bool) -> None:
        """Not looked at."""

    def user_said(self, text: str) -> None:
        """Not looked at."""

    def agent_sentence(self, text: str) -> None:
        """Not looked at: a sentence that was cut off has not been said."""

    def turn_taken(self, *, gap: float | None, barge_ins: int) -> None:
        """Not looked at."""

    def noticed(self, event: str, facts: Mapping[str, str | int | float | bool]) -> None:
        """Not looked at."""

    def conversation_changed(self) -> None:
        """Not looked at."""


def for_text(agent: Agent, settings: PipelineSettings, *, scripted: bool) -> ResolvedAgent:
    """An agent whose speech needs no keys, as it isn't used; nor its brain, if a script stands in for it.

    Args:
        agent: As its author wrote it.
        settings: The deployment's.
        scripted: Whether a script is the brain.

    Raises:
        ProviderError: The brain can't be used as asked.
    """
    silent = replace(agent, stt="moonshine", tts="hibari", voice=None, language="en")
    chosen = replace(silent, llm="rules") if scripted else silent
    return replace(chosen.resolve(settings), language=agent.language)


class TextCall:
    """One conversation in text; a `Line`. An asynchronous context manager: leaving it ends the conversation.

    Args:
        agent: Who answers.
        settings: The deployment's.
        brain: Answers in place of the agent's brain; None keeps that.
        tools: Results in place of tools, by name.
        seconds: The longest that an exchange may take.
        patience: Seconds for which an answer may still come when nothing is under way.

    Raises:
        ProviderError: The agent's brain can't be used as asked.
        NoSuchTool: A result stands for a tool that the agent doesn't have.
    """

    def __init__(
        self,
        agent: Agent,
        settings: PipelineSettings,
        *,
        brain: Sequence[Answer] | None = None,
        tools: Mapping[str, Any] | None = None,
        seconds: float = ANSWER_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        stubs = tools or {}
        resolved = for_text(agent, settings, scripted=brain is not None)
        check_names(stubs, {tool.name: tool.function for tool in resolved.tools}, agent.name)
        self._errors: dict[str, list[str]] = {}
        resolved = replace(
            resolved,
            tools=tuple(
                replace(tool, function=watched(tool.function, _answering(stubs, tool.name), self._noting(tool.name)))
                for tool in resolved.tools
            ),
        )
        brains = candidates("llm", resolved.llm, settings, prompt=resolved.prompt)
        self._script = script = None if brain is None else ScriptedBrain(brain)
        if script is not None:
            brains = (Candidate("script", "script", lambda: script),)
        self._answers = len(brain or ())
        self._heard = Heard()
        self._seconds, self._patience = seconds, patience
        self._tasks = Background("test")
        self._seen: set[str] = set()
        self._conversation = SettlingConversation(resolved, settings, brains, self._heard, f"test_{agent.name}")

    async def __aenter__(self) -> TextCall:
        self._tasks.start(self._conversation.run(), "conversation")
        await self._conversation.started()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._conversation.stop()
        await self._tasks.settled()
        for brain in self._conversation.brains:
            await let_go(brain)

    async def begin(self) -> Exchange:
        """Let the agent greet.

        Raises:
            Unfinished: It didn't come to an end.
        """
        return await self._exchange("", "", self._conversation.greet())

    async def say(self, words: str, interrupts: str = "") -> Exchange:
        """Write these words, and read the agent to its end.

        Args:
            words: The caller's.
            interrupts: What the caller writes over the answer; empty: nothing.

        Raises:
            Unfinished: It didn't come to its end, or there was no answer left for the brain.
        """
        return await self._exchange(words, interrupts, self._said(words, interrupts))

    async def _said(self, words: str, interrupts: str) -> None:
        if interrupts:
            await self._conversation.interrupted(words, interrupts, seconds=self._seconds)
        else:
            await self._conversation.answer(words)

    async def _exchange(self, words: str, interrupts: str, beginning: Coroutine[Any, Any, None]) -> Exchange:
        began, before, fault = time.monotonic(), len(self._heard.said), ""
        try:
            await beginning
            await self._conversation.settled(
                lambda: bool(self._heard.ended), seconds=self._seconds, patience=self._patience
            )
        except NotSettled as error:
            fault = str(error)
        if self._script is not None and self._script.exhausted:
            fault = SCRIPT_TOO_SHORT.format(answers=self._answers)
        exchange = Exchange(
            caller=words,
            interrupts=interrupts,
            said=" ".join(self._heard.said[before:]),
            tools=self._new_tools(),
            ended=self._heard.ended,
            seconds=time.monotonic() - began,
        )
        if fault:
            raise Unfinished(fault, exchange)
        return exchange

    def _new_tools(self) -> tuple[ToolCall, ...]:
        messages = self._conversation.messages()
        results = {m["tool_call_id"]: m.get("content") for m in messages if m.get("role") == "tool"}
        found = []
        for call in (call for message in messages for call in message.get("tool_calls") or []):
            if call["id"] in self._seen:
                continue
            self._seen.add(call["id"])
            name, errors = call["function"]["name"], self._errors.get(call["function"]["name"], [])
            result = _value(results.get(call["id"]))
            failed = isinstance(result, dict) and "error" in result and errors
            found.append(
                ToolCall(name, _value(call["function"]["arguments"]) or {}, result, errors.pop(0) if failed else "")
            )
        return tuple(found)

    def _noting(self, tool: str) -> Callable[[Mapping[str, Any], object, str], None]:
        def note(arguments: Mapping[str, Any], result: object, error: str) -> None:
            if error:
                self._errors.setdefault(tool, []).append(error)

        return note


def _answering(stubs: Mapping[str, Any], name: str) -> Callable[[], tuple[bool, Any]]:
    return lambda: (name in stubs, stubs.get(name))


def _value(written: object) -> Any:
    """What stands in a message as JSON; None while a tool has no result."""
    if not isinstance(written, str) or written == RUNNING:
        return None
    try:
        return json.loads(written)
    except ValueError:
        return written
