"""What was heard of what was said: cut at words, by the audio that was really played."""

from pipeline.pace import SECONDS_PER_CHARACTER
from pipeline.talk.heard import HeardText, Sentence


def test_nothing_was_heard_of_a_sentence_that_was_not_played() -> None:
    heard = HeardText()
    heard.announce(1, "One two six")
    heard.made(1.0)
    assert heard.cut() == ({1}, "")


def test_a_cut_leaves_the_share_of_words_that_was_played() -> None:
    heard = HeardText()
    heard.announce(1, "One two six")
    heard.made(2.2)
    heard.complete(1)
    heard.play(1.5)  # of 2.2: 7.5 of 11 characters
    assert heard.cut() == ({1}, "One two")


def test_the_words_heard_by_now_leave_everything_as_it_is() -> None:
    heard = HeardText()
    heard.announce(1, "One two six")
    heard.made(2.2)
    heard.complete(1)
    heard.play(1.5)
    assert heard.words(unplayed=0.7) == "One"
    assert heard.words() == "One two"
    assert heard.cut() == ({1}, "One two")
    assert heard.words() == ""


def test_an_aside_is_no_part_of_what_was_said() -> None:
    heard = HeardText()
    heard.announce(1, "One two six", aside=True)
    heard.made(1.0)
    heard.complete(1)
    heard.announce(2, "And so on")
    heard.made(1.0)
    heard.complete(2)
    heard.play(2.0)
    assert heard.words(aside=True) == "One two six"
    assert heard.words(aside=True, unplayed=1.5) == "One"
    assert heard.cut() == ({1, 2}, "And so on")


def test_audio_that_was_discarded_unplayed_is_taken_back() -> None:
    heard = HeardText()
    heard.announce(1, "One two six")
    heard.made(2.2)
    heard.complete(1)
    heard.play(1.5)
    heard.play(-0.7)  # 0.8 of 2.2 s are left: 4 of 11 characters
    assert heard.cut() == ({1}, "One")


def test_what_is_taken_back_comes_off_the_last_sentence_first() -> None:
    heard = HeardText()
    for key, text in ((1, "One two"), (2, "Six ten")):
        heard.announce(key, text)
        heard.made(1.0)
        heard.complete(key)
    heard.play(2.0)
    heard.play(-1.0)
    assert heard.cut() == ({1, 2}, "One two")


def test_more_cannot_be_taken_back_than_was_played() -> None:
    heard = HeardText()
    heard.announce(1, "One two")
    heard.made(1.0)
    heard.complete(1)
    heard.play(0.5)
    heard.play(-9.0)
    heard.play(1.0)
    assert heard.cut() == ({1}, "One two")


def test_sound_runs_on_from_one_sentence_into_the_next() -> None:
    heard = HeardText()
    for key, text in ((1, "One two"), (2, "Six ten")):
        heard.announce(key, text)
        heard.made(1.0)
        heard.complete(key)
    heard.play(1.6)
    assert heard.cut() == ({1, 2}, "One two Six")


def test_no_sentence_is_played_for_longer_than_it_was_made() -> None:
    heard = HeardText()
    heard.announce(1, "One two")
    heard.made(1.0)
    heard.complete(1)
    heard.play(5.0)
    heard.announce(2, "Six ten")
    heard.made(1.0)
    heard.complete(2)
    assert heard.cut() == ({1, 2}, "One two")


def test_a_first_chunk_is_not_taken_for_the_whole_of_a_sentence_still_being_made() -> None:
    text = "This sentence is long and only its first chunk has been synthesised so far"
    heard = HeardText()
    heard.announce(1, text)
    heard.made(10 * SECONDS_PER_CHARACTER)
    heard.play(10 * SECONDS_PER_CHARACTER)
    _, words = heard.cut()
    assert words == "This"  # ten characters


def test_a_slow_voice_is_measured_by_what_it_made() -> None:
    slow = Sentence(1, "One two", made=70.0, played=35.0)
    assert slow.heard_text == "One"


def test_a_complete_sentence_is_heard_to_its_end_however_fast_the_voice() -> None:
    heard = HeardText()
    heard.announce(1, "One two six")
    heard.made(0.1)
    heard.play(0.1)
    heard.complete(1)
    assert heard.cut() == ({1}, "One two six")


def test_a_finished_sentence_is_not_reported_again() -> None:
    heard = HeardText()
    for key, text in ((1, "One two"), (2, "Six ten")):
        heard.announce(key, text)
        heard.made(1.0)
        heard.complete(key)
    heard.play(1.5)
    heard.finished(1, 0.0)
    assert heard.cut() == ({2}, "Six")


def test_sound_of_nothing_announced_is_of_no_account() -> None:
    heard = HeardText()
    heard.made(1.0)
    heard.play(1.0)
    heard.complete(1)
    heard.finished(1, 0.0)
    assert heard.cut() == (set(), "")


def test_a_cut_is_accounted_for_once() -> None:
    heard = HeardText()
    heard.announce(1, "One two")
    heard.made(1.0)
    heard.complete(1)
    heard.play(1.0)
    assert heard.cut() == ({1}, "One two")
    assert heard.cut() == (set(), "")
