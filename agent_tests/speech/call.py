"""Holds a conversation aloud, in a real room: the bundled voice speaks the caller's words; system.py dials it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from agent_tests.speech.wire import Wire
from client.api import ControlError
from client.caller import Caller, CallError, NotJoined, TookTooLong
from client.conversation import AGENT_SECONDS, ANSWER_SECONDS, GREETING_SECONDS, QUIET_SECONDS, TURN_SECONDS
from client.wav import Sound
from greenroom.testing.exchange import Exchange, ToolCall

TEXT_SECONDS = 2.0  # for the last of the transcript, which comes apart from the sound
END_SECONDS = 8.0  # for a session's record to say that it has ended, once its agent has left
OVER_SECONDS = 0.5  # of the answer that a caller hears before an interruption
POLL_SECONDS = 0.1


class SpeechCall:
    """One spoken conversation; a `Line`. An asynchronous context manager: leaving it stops the session.

    Args:
        url: The dispatcher's.
        agent: Name of the agent.
        wire: By which its tools are seen.
        voice: Speaks a text; called in a thread.
    """

    def __init__(self, url: str, agent: str, wire: Wire, voice: Callable[[str], Sound]) -> None:
        self._caller, self._agent, self._wire, self._voice = Caller(url), agent, wire, voice
        self._tools: list[ToolCall] = []

    async def __aenter__(self) -> SpeechCall:
        self._wire.calls()  # what another conversation left
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ControlError, CallError):  # it has ended by itself, or never begun
            await self._caller.stop()
        await self._caller.leave()

    async def begin(self) -> Exchange:
        """Start a session, join its room and hear the greeting.

        Raises:
            CallError: There was no room or no agent to be had.
            ControlError: The session could not be started.
        """
        caller = self._caller
        await caller.start(agent=self._agent)
        await caller.join()
        await caller.wait_for_agent(AGENT_SECONDS)
        return await self._exchange("", caller.asked_at, caller.asked_at, GREETING_SECONDS)

    async def say(self, words: str, interrupts: str = "") -> Exchange:
        """Speak these words, and hear the agent out.

        Args:
            words: The caller's.
            interrupts: What the caller says over the answer, a moment after it has begun; empty: nothing.
        """
        sound = await asyncio.to_thread(self._voice, words)
        over = await asyncio.to_thread(self._voice, interrupts) if interrupts else None
        began = time.monotonic()
        said = await self._caller.speak(sound)
        if over is not None:
            with suppress(TookTooLong, NotJoined):  # then it is said into the silence
                await self._caller.wait_for_sound(said.ended, ANSWER_SECONDS)
                await asyncio.sleep(OVER_SECONDS)
            said = await self._caller.speak(over)
        exchange = await self._exchange(words, began, said.ended, ANSWER_SECONDS)
        return replace(exchange, interrupts=interrupts)

    async def _exchange(self, words: str, began: float, spoken: float, patience: float) -> Exchange:
        """What the agent does after something was said from `began` to `spoken`."""
        first: float | None = None
        with suppress(TookTooLong, NotJoined):  # an agent that says nothing, or a call that ended
            first = await self._heard_out(spoken, patience)
            while await self._tool_ran():
                await self._heard_out(time.monotonic(), patience)
        await self._transcribed(began)
        self._tools += self._wire.calls()
        tools, self._tools = tuple(self._tools), []
        transcript = self._caller.transcript
        return Exchange(
            caller=words,
            said=transcript.said("agent", since=began),
            tools=tools,
            ended=await self._ended(),
            seconds=(first or time.monotonic()) - spoken,
            heard=transcript.said("user", since=began) if words else "",
        )

    async def _heard_out(self, since: float, patience: float) -> float:
        """Wait for the agent's sound and for its end; when the first of it was heard."""
        first = await self._caller.wait_for_sound(since, patience)
        await self._caller.wait_for_quiet(QUIET_SECONDS, TURN_SECONDS)
        return first

    async def _tool_ran(self) -> bool:
        """Whether a tool still ran while the agent was silent, so that its words on the result come only now."""
        self._tools += self._wire.calls()
        ran = self._wire.running
        deadline = time.monotonic() + TURN_SECONDS
        while self._wire.running and self._caller.lost is None and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            self._tools += self._wire.calls()
        return ran

    async def _transcribed(self, began: float) -> None:
        """Give the transcript of the agent's words time to arrive."""

        def complete() -> bool:
            lines = [line for line in self._caller.transcript.lines if line.speaker == "agent" and line.at >= began]
            return bool(lines) and all(line.final for line in lines)

        with suppress(TookTooLong, NotJoined):
            await self._caller.wait_for(complete, "the transcript", TEXT_SECONDS)

    async def _ended(self) -> str:
        """Why the session has ended, as its record says it; empty while it goes on.

        The record is written before the agent leaves, and the room is closed later: while nobody is there to talk to,
        the record is asked again.
        """
        assert self._caller.started is not None
        deadline = time.monotonic() + END_SECONDS
        while True:
            about = await self._caller.control.session(self._caller.started.session)
            if about["status"] in ("ended", "error"):
                return str(about.get("endReason") or about.get("error") or about["status"])
            if (self._caller.lost is None and self._caller.agents()) or time.monotonic() > deadline:
                return ""
            await asyncio.sleep(POLL_SECONDS)
