"""Hands on what happens in a conversation: to the page, to the record and to the call; made by call.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from pipeline.talk.turn_observer import Activity
from session.record import EndReason, ErrorReason
from worker.call.call_record import CallRecord, Outcome
from worker.call.checkpoints import Checkpoints
from worker.call.front_end import FrontEnd
from worker.call.rtvi import Rtvi
from worker.call.silence import CallerSilence


class CallListener:
    """The `Listener` of a call's conversation.

    Args:
        front_end: shows words and states to the page.
        rtvi: tells a page of Pipecat's the same, in its protocol.
        record: keeps the transcript and the log.
        checkpoints: keep the conversation.
        silence: told of all that breaks it.
        give_up: called with the reason once the conversation cannot go on; the caller hears so before the call ends.
        end: called with the reason once the conversation has come to its end.
    """

    def __init__(
        self,
        front_end: FrontEnd,
        rtvi: Rtvi,
        record: CallRecord,
        checkpoints: Checkpoints,
        silence: CallerSilence,
        *,
        give_up: Callable[[ErrorReason], None],
        end: Callable[[Outcome], None],
    ) -> None:
        self._front_end, self._rtvi, self._record, self._checkpoints = front_end, rtvi, record, checkpoints
        self._silence, self._give_up, self._end = silence, give_up, end

    def agent_state(self, state: str) -> None:
        """The agent is now listening, thinking or speaking."""
        self._front_end.state(state)

    def activity(self, what: Activity) -> None:
        """Caller or agent starts or stops something."""
        self._rtvi.activity(what)
        self._silence.activity(what, time.monotonic())

    def user_words(self, text: str, *, final: bool) -> None:
        """The caller's words as they are understood."""
        self._front_end.user_words(text, final=final)
        self._rtvi.user_words(text, final=final)
        self._silence.words(time.monotonic())

    def user_said(self, text: str) -> None:
        """A turn of the caller."""
        self._rtvi.user_said(text)
        self._record.say("user", text)
        self._silence.words(time.monotonic())

    def agent_sentence(self, text: str) -> None:
        """The agent begins a sentence."""
        self._front_end.agent_sentence(text)
        self._rtvi.agent_sentence(text)

    def agent_said(self, text: str, *, interrupted: bool) -> None:
        """A turn of the agent."""
        self._front_end.agent_said(text)
        self._rtvi.agent_said(text, interrupted=interrupted)
        if text:
            self._record.say("agent", text, interrupted=interrupted)

    def turn_taken(self, *, gap: float | None, barge_ins: int) -> None:
        """The agent answers, `gap` seconds after the caller's turn."""
        if gap is not None:
            self._record.log("turn", gapMs=round(gap * 1000), bargeIns=barge_ins)

    def provider_failed(self, provider: str, *, permanent: bool) -> None:
        """A provider cannot go on."""
        self._record.log("provider_failed", level="error", provider=provider, permanent=permanent)
        self._give_up(ErrorReason.PROVIDER_FAILED)

    def agent_failed(self, where: str) -> None:
        """The agent's own code cannot go on. `where`: the error's type and place."""
        self._record.log("agent_failed", level="error", error=where)
        self._give_up(ErrorReason.AGENT_FAILED)

    def noticed(self, event: str, facts: Mapping[str, str | int | float | bool]) -> None:
        """Something for the session's log."""
        self._record.log(event, level="warning", **facts)

    def conversation_changed(self) -> None:
        """There is something to remember."""
        self._checkpoints.changed()

    def wants_to_end(self) -> None:
        """The agent has said goodbye."""
        self._end(EndReason.FINISHED)
