"""What a call makes of recordings: the reader's words, and none of music and typing."""

import jiwer
import pytest

from bench.words.ears import understood
from bench.words.recordings import readings, through, wordless
from bench.words.score import plain

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


@pytest.mark.parametrize("rate", [48_000, 8000])
async def test_a_reader_is_understood_by_a_call(rate: int) -> None:
    (reading,) = (each for each in readings() if each.name == "two_cities")
    heard = await understood(through(reading.samples, rate))
    assert jiwer.wer(plain(reading.text), plain(heard)) < 0.15


@pytest.mark.parametrize("name", ["hold_music", "keyboard-typing", "office-ambience", "melody", "success"])
async def test_no_words_are_made_up_in_a_call(name: str) -> None:
    assert await understood(through(wordless()[name], 8000)) == ""
