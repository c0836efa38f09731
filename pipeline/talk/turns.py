"""The clock of a conversation's turns: whose turn it is, how long an answer took; turn_observer.py feeds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TurnClock:
    """Fed with who starts and stops speaking (seconds), it knows the agent's state and counts barge-ins.

    Attributes:
        state: of the agent, by LiveKit's names.
    """

    barge_ins: int = 0
    state: str = "listening"
    _user_stopped: float | None = None
    _user_speaking: bool = False
    _taken: bool = False  # the caller's words interrupted the agent in this turn
    _before: tuple[str, float | None] = ("listening", None)  # what a turn without words leaves as it was
    _agent_speaking: bool = False

    def user_started(self) -> None:
        """The caller began to make a sound: a question not answered yet is perhaps being added to."""
        self._before = (self.state, self._user_stopped)
        self._user_speaking, self._taken = True, False
        self._user_stopped = None
        self.state = "listening"

    def interrupted(self) -> None:
        """What the agent was at is cut off; by the caller's words, if the caller is making a sound."""
        if self._user_speaking and not self._taken:
            self._taken = True
            self.barge_ins += self._agent_speaking

    def user_stopped(self, at: float) -> None:
        """The caller's turn ended at `at`. Without words, all is as it was before."""
        self._user_speaking = False
        self.state, self._user_stopped = ("thinking", at) if self._taken else self._before

    def agent_started(self, at: float) -> float | None:
        """The agent began to speak at `at`; gives the gap since the caller stopped, if it answers one."""
        self._agent_speaking = True
        self.state = "speaking"
        self._before = ("speaking", None)
        if self._user_stopped is None:
            return None
        gap, self._user_stopped = at - self._user_stopped, None
        return gap

    def agent_stopped(self) -> None:
        """The agent fell silent."""
        self._agent_speaking = False
        self._before = ("listening", None)
        if self.state == "speaking":
            self.state = "listening"
