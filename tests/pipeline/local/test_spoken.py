import numpy as np
import pytest

from pipeline.local.spoken import digit_by_digit, parts, speakable, trimmed, unsayable

RATE = 24_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Your order is 12.", "Your order is 12."),
        ("It is 14:05.", "It is 2:05 PM."),
        ("It is 2:05 PM.", "It is 2:05 PM."),
        ("At 09:00 or 00:30", "At 9 AM or 12:30 AM"),
        ("See https://www.example.com/a?b=1.", "See example dot com."),
        ("Go to www.example.org now", "Go to example dot org now"),
        ("Your code is 4711.", "Your code is 4, 7, 1, 1."),
        ("4 7 1 1", "4, 7, 1, 1"),
        ("In 2024 there were 150000.", "In 2024 there were 150000."),
        ("**Bold** and `code`", "Bold and code"),
        ("<b>Hi</b> there", "Hi there"),
        ("Bell\x07 rings", "Bell rings"),
        ("It is 10:05:30 now.", "It is 10:05 AM and 30 seconds now."),
        ("At 12:30:45 PM", "At 12:30 PM and 45 seconds"),
        ("10^6", "10 to the power of 6"),
        ("2 * 3 = 6", "2 times 3 = 6"),
        ("2**8 and 2 < 3, 5 > -4.", "2 to the power of 8 and 2 is less than 3, 5 is greater than -4."),
        ("**5** 6", "5 6"),
        ("a < b and c > d", "a b and c d"),
        ("$1234567890123456.", "$1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6."),
        ("1,234,567,890,123,456", "1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6"),
    ],
)
def test_what_a_voice_would_read_badly_is_written_out(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize(
    ("text", "leaves_out"),
    [
        ("", False),
        ("Hello, 12 & 3.5 %!", False),
        ("Caf\u00e9, na\u00efve, \u00dcber, 1\u00aa \u2014 \u20ac5", False),
        ("\u03c0 is 3.14", False),
        ("\u4f60\u597d", True),
        ("Hello \u4f60\u597d there", True),
        ("\u041f\u0440\u0438\u0432\u0435\u0442", True),
    ],
)
def test_what_an_english_voice_leaves_out_is_known(text: str, leaves_out: bool) -> None:
    assert unsayable(text) is leaves_out


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "😀", "***", "—", "\x00"])
def test_what_has_no_words_is_not_spoken(text):
    assert speakable(text) == ""


def test_digits_by_themselves_keep_every_word_and_digit():
    assert digit_by_digit("Pay $1,234.5 to me_2, at 7.") == "Pay  1, 2, 3, 4, point, 5 to me 2, at 7."


def test_a_long_sentence_begins_with_its_first_clause():
    text = (
        "When the caller has told us all of that, we look up the order in the system, and then we read it back to them."
    )
    assert parts(text) == [
        "When the caller has told us all of that,",
        text.removeprefix("When the caller has told us all of that, "),
    ]


@pytest.mark.parametrize("text", ["Yes, of course.", "word " * 40, "Well, " + "word " * 30])
def test_a_short_sentence_and_one_without_a_good_pause_stay_whole(text):
    assert parts(text) == [text]


def test_nothing_has_no_parts():
    assert parts("") == []


def test_silence_around_speech_is_cut_and_its_attack_kept():
    tone = np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE).astype(np.float32) * 0.3
    sound = np.concatenate([np.zeros(RATE // 3, np.float32), tone, np.zeros(RATE // 2, np.float32)])
    cut = trimmed(sound, RATE)
    first, last = np.flatnonzero(np.abs(cut) > 0.01)[[0, -1]]
    assert first <= 0.01 * RATE
    assert 0.07 * RATE <= cut.size - last <= 0.09 * RATE
    assert np.abs(cut).sum() == pytest.approx(np.abs(tone).sum(), rel=1e-3)


@pytest.mark.parametrize("size", [0, 5, RATE])
def test_sound_without_speech_is_cut_to_nothing(size):
    assert trimmed(np.full(size, 0.001, np.float32), RATE).size == 0
