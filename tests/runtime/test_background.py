import asyncio
import logging

import pytest

from runtime.background import (
    LONGEST_PAUSE,
    Background,
    Failure,
    Finished,
    Policy,
    backoff,
    describe,
    failed_so_far,
    keep_going,
    on_failure,
)

pytestmark = pytest.mark.anyio
SAID = "the caller's pin is 4711"


class Broken(Exception):
    """Nobody expects it."""


async def fail() -> None:
    raise Broken(SAID)


async def settle(background: Background) -> None:
    await background.settled()
    await asyncio.sleep(0)  # for the callbacks of what has ended


async def test_a_failure_is_logged_once_with_type_and_place_and_without_its_message(caplog):
    background = Background("call")
    background.start(fail(), "greet")
    await settle(background)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "owner=call task=greet error=Broken at tests/runtime/test_background.py:" in record.getMessage()
    assert SAID not in caplog.text
    assert record.exc_info is None


async def test_only_a_failure_that_ends_its_owner_is_handed_to_it():
    told: list[Failure] = []
    background = Background("call", on_end=told.append)
    background.start(fail(), "hush")
    background.start(fail(), "talk", policy=Policy.END)
    await settle(background)
    assert [each.name for each in told] == ["talk"]


async def test_every_failure_of_the_process_is_observed_until_nobody_wants_to_know():
    seen: list[Failure] = []
    off = on_failure(seen.append)
    background = Background("worker")
    background.start(fail(), "one")
    await settle(background)
    off()
    background.start(fail(), "two")
    await settle(background)
    assert [(each.owner, each.name) for each in seen] == [("worker", "one")]


async def test_failures_are_counted():
    before = failed_so_far()
    background = Background("worker")
    background.start(fail(), "one")
    background.start(asyncio.sleep(0), "two")
    await settle(background)
    assert failed_so_far() == before + 1


async def test_a_task_that_is_cancelled_has_not_failed(caplog):
    background = Background("call")
    task = background.start(asyncio.Event().wait(), "wait")
    await asyncio.sleep(0)
    await background.close()
    assert task.cancelled()
    assert caplog.records == []


async def test_closing_waits_for_what_a_task_does_at_its_end_and_says_which_one_never_ends(caplog):
    ended = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append("slow")

    async def deaf() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    over = asyncio.Event()
    background = Background("call")
    background.start(slow(), "slow")
    task = background.start(deaf(), "deaf")
    await asyncio.sleep(0)
    await background.close(seconds=0.1)
    assert ended == ["slow"]
    assert "event=task_stuck owner=call task=deaf" in caplog.text
    over.set()
    await task


async def test_a_task_may_close_its_own_owner():
    background = Background("call")

    async def over() -> None:
        await background.close()

    await asyncio.wait({background.start(over(), "over")}, timeout=1.0)


async def test_a_loop_goes_on_after_an_error_with_a_growing_pause_that_a_success_resets(caplog):
    plan = [Broken(SAID), Broken(SAID), None, Broken(SAID), None]
    pauses: list[float] = []

    async def step() -> None:
        if not plan:
            raise Finished
        error = plan.pop(0)
        if error is not None:
            raise error

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    await keep_going(step, "beat", owner="worker", pause=1.0, sleep=sleep)
    assert pauses == [backoff(1), backoff(2), 1.0, backoff(1), 1.0]
    assert caplog.text.count("task=beat") == 3
    assert SAID not in caplog.text


def test_the_pause_doubles_and_has_an_end():
    assert backoff(2) == 2 * backoff(1)
    assert backoff(1000) == LONGEST_PAUSE


def test_an_error_is_described_from_the_place_where_it_was_raised_outwards():
    def outer() -> None:
        inner()

    def inner() -> None:
        raise Broken(SAID)

    try:
        outer()
    except Broken as error:
        told = describe(error)
    places = told.removeprefix("Broken at ").split(" < ")
    lines = [int(place.rsplit(":", 1)[1]) for place in places]
    assert len(places) == 3
    assert lines[0] == inner.__code__.co_firstlineno + 1
    assert lines[1] == outer.__code__.co_firstlineno + 1


def test_an_error_that_was_never_raised_has_no_place():
    assert describe(Broken(SAID)) == "Broken at an unknown place"
