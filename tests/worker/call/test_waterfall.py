"""Milliseconds since the request, by step, on one clock."""

import time

from worker.call.waterfall import Waterfall


def test_a_step_is_told_in_milliseconds_since_the_request() -> None:
    waterfall = Waterfall(zero=100.0)
    waterfall.mark("dispatch", 100.2)
    waterfall.mark("claim", 100.2054)
    assert waterfall.steps == {"dispatch": 200.0, "claim": 205.4}


def test_without_a_time_a_step_is_done_now() -> None:
    zero = time.monotonic()
    waterfall = Waterfall(zero)
    waterfall.mark("ready")
    passed = (time.monotonic() - zero) * 1000
    assert 0 <= waterfall.steps["ready"] <= passed + 0.1


def test_a_step_that_is_done_again_counts_from_the_last_time() -> None:
    waterfall = Waterfall(zero=1.0)
    waterfall.mark("ready", 2.0)
    waterfall.mark("ready", 3.0)
    assert waterfall.steps == {"ready": 2000.0}
