"""One thing said to an agent and the beginning of its answer, measured from the waveform."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from client.caller import Caller, TookTooLong
from client.microphone import SpeechClip
from client.wav import Sound

ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class MeasuredTurn:
    """How it went.

    Attributes:
        said: When it was said.
        answer: Seconds from its end to the answer's first sound; None when there was no answer, or when the agent spoke
            before the end.
        early: Whether the agent spoke before the end.
    """

    said: SpeechClip
    answer: float | None
    early: bool = False


async def take_turn(caller: Caller, sound: Sound) -> MeasuredTurn:
    """Say `sound` and wait for the answer to begin. Raises NotJoined when the room is lost."""
    said = await caller.speak(sound)
    heard: float | None = None
    with contextlib.suppress(TookTooLong):
        heard = await caller.wait_for_sound(said.ended, ANSWER_SECONDS)
    first = caller.ear.first_sound(said.began)
    if first is not None and first < said.ended:
        return MeasuredTurn(said, None, early=True)
    return MeasuredTurn(said, None if heard is None else heard - said.ended)
