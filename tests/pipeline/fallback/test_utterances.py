"""What is left of a sentence that broke off, and the frames around what is said."""

from typing import Any, cast

import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    LLMAssistantPushAggregationFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from pipeline.fallback.utterances import Ending, Utterance, piece, unsaid
from pipeline.talk.audio_ends import ASIDE, OUT_RATE

SENTENCE = "One two three four."


def sound(seconds):
    return TTSAudioRawFrame(bytes(2 * int(OUT_RATE * seconds)), OUT_RATE, 1, context_id="theirs")


@pytest.mark.parametrize(
    ("seconds", "left"),
    [(0.0, SENTENCE), (0.2, SENTENCE), (0.75, "three four."), (1.5, "four."), (1.9, "four."), (9.0, "four.")],
)
def test_a_sentence_that_broke_off_goes_on_with_the_first_word_that_was_not_heard(seconds, left):
    assert unsaid(SENTENCE, seconds, pace=0.1) == left


def test_a_single_word_that_broke_off_is_said_again():
    assert unsaid("Yes.", 0.3) == "Yes."


def test_the_first_sound_is_announced_once_for_all_who_say_it():
    said = piece(SENTENCE, "sentence", Utterance())
    first, again = said.sound(sound(0.75)), said.sound(sound(0.75))
    assert [type(frame) for frame in first] == [AggregatedTextFrame, TTSStartedFrame, TTSAudioRawFrame]
    assert [type(frame) for frame in again] == [TTSAudioRawFrame]
    assert {cast(Any, frame).context_id for frame in [*first, *again]} == {said.utterance.id}
    said.broke_off(pace=0.1)
    assert said.asked()[0].text == "four."
    assert [type(frame) for frame in said.sound(sound(0.5))] == [TTSAudioRawFrame]
    (text,) = said.said()
    assert isinstance(text, TTSTextFrame)
    assert (text.text, text.segment_id, text.append_to_context) == (SENTENCE, said.frame.id, True)


def test_what_was_never_heard_leaves_no_trace():
    said = piece(SENTENCE, "sentence", Utterance())
    assert said.said() == []
    assert Ending(said.utterance).frames() == []


def test_an_aside_is_said_for_itself_and_kept_out_of_the_conversation():
    said = piece(SENTENCE, ASIDE, Utterance(keep=False, alone=True))
    announced, started, _ = cast(Any, said.sound(sound(0.1)))
    assert announced.text_type == said.asked()[0].text_type == ASIDE
    assert not started.append_to_context
    assert not cast(Any, said.said()[0]).append_to_context
    assert [type(frame) for frame in Ending(said.utterance).frames()] == [TTSStoppedFrame]


def test_a_text_of_ours_outside_of_an_answer_is_committed():
    said = piece(SENTENCE, "sentence", Utterance(alone=True))
    said.sound(sound(0.1))
    assert [type(frame) for frame in Ending(said.utterance).frames()] == [
        TTSStoppedFrame,
        LLMAssistantPushAggregationFrame,
    ]


def test_what_may_not_be_interrupted_is_so_in_all_its_frames():
    said = piece(SENTENCE, "sentence", Utterance(interruptible=False))
    frames = [*said.asked(), *said.sound(sound(0.1)), *said.said(), *Ending(said.utterance).frames()]
    assert not any(frame.interruptible for frame in frames)
