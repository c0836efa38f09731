"""Whether the caller is there, and when an absent caller ends the call, by pure rules; call.py asks."""

from __future__ import annotations

from dataclasses import dataclass

from session.record import CallerPresence, EndReason


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the agent waits, in seconds: for a first join, after a drop, after a hang-up, and for the whole call.

    Attributes:
        ask: in silence, until it asks whether the caller is there.
        silent: in silence, until the call ends.
    """

    join: float
    dropped: float
    hung_up: float
    whole: float | None = None
    ask: float | None = None
    silent: float | None = None


@dataclass(slots=True)
class CallerPatience:
    """The one caller of a session, told apart by the sid of each of its joins; times in seconds of one clock."""

    patience: Patience
    started: float
    caller: CallerPresence = CallerPresence.ABSENT
    sid: str | None = None
    _deadline: float | None = None

    def __post_init__(self) -> None:
        self._deadline = self.started + self.patience.join

    def expect_back(self) -> None:
        """The caller was there before this agent: if it is gone, it left, and may come back."""
        self.caller = CallerPresence.AWAY
        self._deadline = self.started + self.patience.dropped

    def joined(self, sid: str) -> None:
        """The caller is in the room, under this sid; a second join replaces the first."""
        self.caller, self.sid, self._deadline = CallerPresence.PRESENT, sid, None

    def stop_waiting(self, at: float) -> None:
        """Nobody will come: whoever was expected for the first time is so no longer."""
        if self.caller is CallerPresence.ABSENT:
            self._deadline = at

    def left(self, sid: str, at: float, *, by_itself: bool, for_good: bool = False) -> bool:
        """This sid is gone; gives whether that means the caller is away (not if a newer join stands).

        Args:
            sid: of the join that ended.
            at: when, in seconds.
            by_itself: the caller hung up.
            for_good: it cannot come back, so it is not waited for.
        """
        if self.caller is not CallerPresence.PRESENT or sid != self.sid:
            return False
        self.caller = CallerPresence.AWAY
        grace = self.patience.hung_up if by_itself else self.patience.dropped
        self._deadline = at if for_good else at + grace
        return True

    @property
    def deadline(self) -> float | None:
        """When patience ends, if nothing happens before."""
        whole = None if self.patience.whole is None else self.started + self.patience.whole
        moments = [moment for moment in (self._deadline, whole) if moment is not None]
        return min(moments) if moments else None

    def verdict(self, now: float) -> EndReason | None:
        """Why the call is over at `now`; None while it is not."""
        if self.patience.whole is not None and now >= self.started + self.patience.whole:
            return EndReason.MAX_DURATION
        if self._deadline is None or now < self._deadline:
            return None
        return EndReason.CALLER_LEFT if self.caller is CallerPresence.AWAY else EndReason.NOT_JOINED
