"""The clock of a conversation's turns: who waited how long for whom; turn_observer.py feeds it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class TurnClock:
    """Fed with who starts and stops speaking (seconds), it collects answer gaps and barge-ins."""

    gaps: list[float] = field(default_factory=list)
    barge_ins: int = 0
    _user_stopped: float | None = None
    _agent_speaking: bool = False

    def user_started(self) -> None:
        """The caller began to speak: a question not answered yet is being added to."""
        if self._agent_speaking:
            self.barge_ins += 1
        self._user_stopped = None

    def user_stopped(self, at: float) -> None:
        """The caller's turn ended at `at`."""
        self._user_stopped = at

    def agent_started(self, at: float) -> float | None:
        """The agent began to speak at `at`; gives the gap since the caller stopped, if it answers one."""
        self._agent_speaking = True
        if self._user_stopped is None:
            return None
        gap = at - self._user_stopped
        self._user_stopped = None
        self.gaps.append(gap)
        return gap

    def agent_stopped(self) -> None:
        """The agent fell silent."""
        self._agent_speaking = False
