"""When a call ends: after the goodbye that follows its agreement, and never over the words of the caller."""

from __future__ import annotations

from pipecat.frames.frames import FunctionCallResultFrame, LLMFullResponseStartFrame

from pipeline.talk.parting import Parting, Step


def asked(*, agreed: bool = False) -> Parting:
    """The caller has spoken, and the LLM answers."""
    parting = Parting(agreed=agreed)
    answer(parting)
    return parting


def answer(parting: Parting) -> None:
    parting.llm_is_asked()
    parting.passes(LLMFullResponseStartFrame())


def over(parting: Parting, *, words: bool = True, interrupted: bool = False) -> Step:
    return parting.turn_over(words=words, interrupted=interrupted)


def test_the_words_that_follow_the_agreement_end_the_call() -> None:
    parting = asked()
    parting.agree()
    assert over(parting, words=False) is Step.GO_ON  # the answer that asked for the end
    parting.passes(FunctionCallResultFrame(function_name="end_call", tool_call_id="a", arguments={}, result="Go."))
    parting.passes(LLMFullResponseStartFrame())
    assert over(parting) is Step.END


def test_words_before_the_agreement_do_not_cut_off_those_after_it() -> None:
    parting = asked()
    parting.agree()
    assert over(parting) is Step.GO_ON
    answer(parting)
    assert over(parting) is Step.END


def test_an_llm_without_a_word_leaves_the_goodbye_to_us() -> None:
    parting = asked()
    parting.agree()
    over(parting, words=False)
    answer(parting)
    assert over(parting, words=False) is Step.SAY_GOODBYE
    assert over(parting, words=False) is Step.END  # once: the voice may have no sound for it


def test_who_has_said_goodbye_before_the_agreement_need_not_say_it_again() -> None:
    parting = asked()
    parting.agree()
    over(parting)
    answer(parting)
    assert over(parting, words=False) is Step.END


def test_a_goodbye_that_is_cut_off_ends_nothing() -> None:
    parting = asked()
    parting.agree()
    answer(parting)
    assert over(parting, interrupted=True) is Step.GO_ON
    assert parting.agreed


def test_words_of_the_caller_call_it_off() -> None:
    parting = asked()
    parting.agree()
    answer(parting)
    parting.caller_spoke()
    assert not parting.agreed
    answer(parting)
    assert over(parting) is Step.GO_ON


def test_an_agent_that_takes_over_says_the_goodbye_that_was_lost() -> None:
    assert over(asked(agreed=True)) is Step.END
