"""What of the caller's sound is kept for ears that come later: all that no words came for, and nothing else."""

import math

import pytest
from pipecat.frames.frames import InputAudioRawFrame, VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame

from pipeline.fallback.kept import BEFORE_SECONDS, MOST_SECONDS, Kept, without_overlap
from pipeline.frames import seconds
from pipeline.talk.audio_ends import IN_RATE


def sound(length):
    return InputAudioRawFrame(bytes(2 * int(IN_RATE * length)), IN_RATE, 1)


def fed(*parts):
    """Kept parts: seconds of sound, "(" where speech begins and ")" where it ends."""
    kept = Kept()
    for part in parts:
        if part == "(":
            kept.add(VADUserStartedSpeakingFrame())
        elif part == ")":
            kept.add(VADUserStoppedSpeakingFrame())
        else:
            for _ in range(round(part * 10)):
                kept.add(sound(0.1))
    return kept


def shape(kept):
    """As `fed` takes it."""
    parts = []
    for frame in kept.frames():
        if isinstance(frame, VADUserStartedSpeakingFrame):
            parts.append("(")
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            parts.append(")")
        elif parts and isinstance(parts[-1], float):
            parts[-1] = round(parts[-1] + seconds(frame), 1)
        else:
            parts.append(round(seconds(frame), 1))
    return parts


def test_only_the_last_second_of_silence_is_kept():
    assert shape(fed(20)) == [BEFORE_SECONDS]


def test_speech_is_kept_whole_with_what_comes_before_and_after_it():
    kept = fed(3, "(", 5, ")", 1)
    assert shape(kept) == [1.0, "(", 5.0, ")", 1.0]
    assert kept.owed


def test_the_sound_of_a_caller_who_never_stops_is_bounded():
    frames = fed(1, "(", MOST_SECONDS + 10).frames()
    assert sum(seconds(each) for each in frames if isinstance(each, InputAudioRawFrame)) <= MOST_SECONDS + 0.01


def test_nothing_is_kept_of_what_words_came_for():
    kept = fed(1, "(", 5, ")", 0.3)
    kept.words_came(waiting=0.0, exactly=True)
    assert shape(kept) == [0.3]
    assert not kept.owed


def test_words_for_what_was_said_before_a_pause_leave_what_is_said_after_it():
    kept = fed(1, "(", 5, ")", 0.5, "(", 2)
    kept.words_came(waiting=math.inf, exactly=True)
    assert shape(kept) == [0.5, "(", 2.0]
    assert kept.owed


@pytest.mark.parametrize("exactly", [True, False])
def test_words_that_come_while_the_caller_speaks_leave_the_last_of_the_sound(exactly):
    kept = fed(1, "(", 5)
    kept.words_came(waiting=0.5, exactly=exactly)
    assert shape(kept) == ["(", 0.5]
    assert kept.owed
    assert kept.cut is not exactly


def test_words_for_the_first_piece_of_a_long_speech_leave_its_last_piece():
    kept = fed(1, "(", 15, ")", 0.3)
    kept.words_came(waiting=3.0, exactly=True)
    assert shape(kept) == ["(", 3.0, ")", 0.3]
    assert kept.owed


def test_a_cough_is_forgotten_but_not_the_speech_that_begins_behind_it():
    kept = fed(1, "(", 1, ")", 0.4, "(", 0.2)
    kept.forget()
    assert shape(kept) == [0.4, "(", 0.2]
    assert kept.owed


@pytest.mark.parametrize(
    ("before", "text", "left"),
    [
        ("I want to go", "To go home.", "home."),
        ("I want to go", "home.", "home."),
        ("", "Hello.", "Hello."),
        ("yes", "Yes.", ""),
    ],
)
def test_words_that_two_have_heard_are_said_once(before, text, left):
    assert without_overlap(before, text) == left
