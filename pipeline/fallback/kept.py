"""What the caller has said and nobody has put into words yet, kept so that another can hear it; stt.py keeps it."""

from __future__ import annotations

from collections import deque

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from pipeline.frames import seconds

BEFORE_SECONDS = 1.0  # of sound before speech is noticed, which has its beginning
LAG_SECONDS = 0.5  # by which a service's words may follow the sound while the caller speaks
MOST_SECONDS = 120.0  # of sound that are kept: 4 MB
ROUNDING = 0.001  # seconds: lengths of sound are added up
OVERLAP_WORDS = 4  # at most so many words are said in LAG_SECONDS and a bit


def _seconds(frame: Frame) -> float:
    """How long a frame's sound lasts; 0 for one that has none."""
    return seconds(frame) if isinstance(frame, InputAudioRawFrame) else 0.0


def without_overlap(before: str, text: str) -> str:
    """A text without the words at its beginning that the text before it ended with: both have heard them."""
    last, first = _plain(before), _plain(text)
    for count in range(min(OVERLAP_WORDS, len(last), len(first)), 0, -1):
        if last[-count:] == first[:count]:
            return " ".join(text.split()[count:])
    return text


def _plain(text: str) -> list[str]:
    return ["".join(filter(str.isalnum, word)).casefold() for word in text.split()]


class Kept:
    """The sound since the last words, with where the caller began and ceased to speak in it.

    Attributes:
        speaking: the caller is speaking.
        owed: the caller has spoken, or is speaking, and the words have not come.
        cut: what is kept begins somewhere in speech for which some words have come.
    """

    def __init__(self) -> None:
        self._frames = deque[Frame]()
        self._seconds = 0.0
        self.speaking = False
        self.owed = False
        self.cut = False

    def add(self, frame: Frame) -> None:
        """Keep one more frame: sound, or where speech begins or ends."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self.speaking = self.owed = True
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self.speaking = False
        self._frames.append(frame)
        self._seconds += _seconds(frame)
        self._trim(MOST_SECONDS if self.owed else BEFORE_SECONDS)

    def frames(self) -> tuple[Frame, ...]:
        """All that is kept, in order."""
        return tuple(self._frames)

    def words_came(self, *, waiting: float, exactly: bool) -> None:
        """Words have come, and more may come for the last of the sound.

        Args:
            waiting: seconds of sound, up to the last pause or to now, whose words are still to come.
            exactly: these are not guessed.
        """
        paused = [at for at, frame in enumerate(self._frames) if isinstance(frame, VADUserStoppedSpeakingFrame)]
        if (self.speaking and paused) or not (self.speaking or waiting):
            self.forget()
            return
        after = sum(map(_seconds, list(self._frames)[paused[-1] :])) if paused else 0.0
        self._trim(waiting + after)
        self.cut = not exactly

    def forget(self) -> None:
        """Nothing is owed for what was said until the last pause."""
        paused = [at for at, frame in enumerate(self._frames) if isinstance(frame, VADUserStoppedSpeakingFrame)]
        for _ in range(paused[-1] + 1 if paused else 0):
            self._drop()
        self.owed, self.cut = self.speaking, False

    def _trim(self, least: float) -> None:
        """Forget the oldest sound while so many seconds are left; speech that is cut so begins where it was cut."""
        began = None
        while self._frames and self._seconds - _seconds(self._frames[0]) >= least - ROUNDING:
            dropped = self._drop()
            if isinstance(dropped, VADUserStartedSpeakingFrame | VADUserStoppedSpeakingFrame):
                began = dropped
        if isinstance(began, VADUserStartedSpeakingFrame):
            self._frames.appendleft(began)

    def _drop(self) -> Frame:
        dropped = self._frames.popleft()
        self._seconds -= _seconds(dropped)
        return dropped
