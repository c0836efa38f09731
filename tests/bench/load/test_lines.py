"""What callers say, and whether it was understood."""

import random

from bench.load.lines import FACTS, READ, Plan, conversations, error_rate, greeted_only, plain, sentences
from pipeline.local import stt as moonshine
from pipeline.local.stt import from_pcm


def test_what_is_written_down_is_what_is_read():
    moonshine.preload()
    model = moonshine.model()
    heard = [model(from_pcm(line.sound.samples.tobytes(), line.sound.rate)) for line in sentences()]
    nearest = [max(READ, key=lambda line: alike(line, words)) for words in heard]
    assert nearest == list(READ)


def alike(one, other):
    """The share of words that two have in common, whatever their order and number, which a listener may get wrong."""
    a, b = set(plain(one).split()), set(plain(other).split())
    return len(a & b) / len(a | b)


def test_wrong_words_are_counted_whatever_their_case_and_punctuation():
    assert error_rate("it was the best of times", "It was the best of times.") == 0.0
    assert error_rate("it was the best of times", "It was the best of dimes!") == 1 / 6
    assert error_rate("it was the best of times", "") == 1.0


def test_the_same_seed_says_the_same():
    first = conversations([0.0, 5.0], random.Random(3), sentences=2)
    assert first == conversations([0.0, 5.0], random.Random(3), sentences=2)
    assert first != conversations([0.0, 5.0], random.Random(4), sentences=2)


def test_a_conversation_has_a_fact_and_as_many_sentences_as_asked_for():
    for plan in conversations([float(n) for n in range(50)], random.Random(3), sentences=2):
        assert len(plan.sentences) == 2
        assert all(0 <= each < len(READ) for each in plan.sentences)
        assert plan.fact in range(len(FACTS))


def test_who_hangs_up_once_greeted_says_nothing():
    assert greeted_only([1.0, 2.0]) == [Plan(1.0, (), None), Plan(2.0, (), None)]
