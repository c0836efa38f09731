"""Pieces of text, early and late, become what was said."""

from client.transcript import Transcript, contains


def told(*updates):
    transcript = Transcript()
    for at, (speaker, segment, text, final) in enumerate(updates):
        transcript.update(speaker, segment, text, final=final, at=float(at))
    return transcript


def test_a_line_grows_until_it_is_final():
    transcript = told(("agent", "a", "Hello", False), ("agent", "a", "Hello, how are", False))
    assert [(line.text, line.final) for line in transcript.lines] == [("Hello, how are", False)]
    transcript.update("agent", "a", "Hello, how are you?", final=True, at=9.0)
    assert [(line.text, line.final, line.at) for line in transcript.lines] == [("Hello, how are you?", True, 0.0)]


def test_a_partial_result_that_comes_late_changes_nothing():
    transcript = told(("user", "u", "My name is Alice.", True), ("user", "u", "My name is", False))
    assert transcript.said("user") == "My name is Alice."


def test_a_correction_of_what_was_final_counts():
    transcript = told(("agent", "a", "One. Two. Three.", True), ("agent", "a", "One. Two.", True))
    assert transcript.said("agent") == "One. Two."


def test_an_answer_that_was_announced_and_not_heard_is_taken_back():
    transcript = told(("agent", "a", "Nice to meet you.", False), ("agent", "a", "", True))
    assert transcript.lines == []


def test_both_sides_keep_the_order_in_which_they_began():
    transcript = told(
        ("agent", "1", "Hello.", True),
        ("user", "1", "Hi", False),
        ("agent", "2", "Yes?", True),
        ("user", "1", "Hi!", True),
    )
    assert [(line.speaker, line.text) for line in transcript.lines] == [
        ("agent", "Hello."),
        ("user", "Hi!"),
        ("agent", "Yes?"),
    ]
    assert transcript.said("agent") == "Hello. Yes?"
    assert transcript.said("agent", since=1.0) == "Yes?"


def test_words_are_found_whatever_their_case_and_punctuation_but_not_within_others():
    assert contains("It is FORTY-two, Alice!", "forty two")
    assert contains("12 plus 30 is 42.", "42")
    assert not contains("It is 142.", "42")
    assert not contains("anything", "")
