"""Where the agent goes on after it was cut off."""

import numpy as np
import pytest

from pipeline.talk.tape import KEPT_SECONDS, LEAST_SECONDS, REWIND_SECONDS, Tape

RATE = 1000


def loud(seconds: float) -> bytes:
    return np.full(round(seconds * RATE), 9000, "<i2").tobytes()


def quiet(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE))


def rest(tape: Tape) -> float:
    total = 0.0
    while pcm := tape.next(0.04):
        total += len(pcm) / (2 * RATE)
    return total


def test_a_sentence_just_begun_is_said_from_its_beginning() -> None:
    tape = Tape(RATE)
    tape.played(loud(1.2))
    tape.take_back(0.2)
    assert tape.rewind() == pytest.approx(1.0)
    assert rest(tape) == pytest.approx(1.2)


def test_a_long_sentence_goes_on_from_a_gap_between_words() -> None:
    tape = Tape(RATE)
    tape.played(loud(2.0) + quiet(0.06) + loud(1.0))
    tape.take_back(0.2)
    again = tape.rewind()
    assert 0.8 <= again <= 0.86 + 0.06
    assert rest(tape) == pytest.approx(again + 0.2)


def test_no_more_is_said_again_than_a_few_words() -> None:
    tape = Tape(RATE)
    tape.played(loud(10.0))
    assert LEAST_SECONDS <= tape.rewind() <= REWIND_SECONDS
    assert rest(tape) <= KEPT_SECONDS


def test_cut_again_while_it_is_said_again_nothing_is_lost() -> None:
    tape = Tape(RATE)
    tape.played(loud(1.0))
    tape.rewind()
    tape.played(tape.next(0.4))
    tape.take_back(0.1)
    tape.rewind()
    assert rest(tape) == pytest.approx(1.0)


def test_of_a_sentence_that_is_over_nothing_is_left() -> None:
    tape = Tape(RATE)
    tape.played(loud(1.0))
    tape.clear()
    assert not tape
    assert tape.rewind() == 0.0
    assert tape.next(1.0) == b""
