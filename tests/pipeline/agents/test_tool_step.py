from pipeline.agents.tool_step import DONE, ToolStep


def test_one_call_is_answered_at_its_end() -> None:
    step = ToolStep()
    step.begin(["a"])
    assert step.end("a", "x") == ("x", True)


def test_of_two_calls_the_last_to_end_asks() -> None:
    step = ToolStep()
    step.begin(["a", "b"])
    assert step.end("b", "y") == ("y", False)
    assert step.end("a", "x") == ("x", True)
    step.begin(["c"])
    assert step.end("c", "z") == ("z", True)


def test_a_call_that_tells_nothing_asks_nothing_by_itself() -> None:
    step = ToolStep()
    step.begin(["a"])
    assert step.end("a", None) == (None, False)


def test_what_an_earlier_call_told_is_answered_after_one_that_tells_nothing() -> None:
    step = ToolStep()
    step.begin(["a", "b"])
    assert step.end("a", "x") == ("x", False)
    assert step.end("b", None) == (DONE, True)


def test_calls_that_were_broken_off_hold_up_nothing() -> None:
    step = ToolStep()
    step.begin(["a", "b"])
    step.end("a", "x")
    step.cancelled("b")
    step.begin(["c"])
    assert step.end("c", None) == (None, False)
