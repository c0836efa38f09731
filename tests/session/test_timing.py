"""The times at a call's end add up: nothing is cut off, however slow the store is."""

from dispatcher.upkeep.slow_loop import GOODBYE_SECONDS
from session.store.ports import SILENT_SECONDS
from session.timing import (
    ABANDON_SECONDS,
    ANSWERS_SECONDS,
    CALL_END_SECONDS,
    CANCEL_SECONDS,
    DISPATCHER_STOP_SECONDS,
    GONE_SECONDS,
    LAST_STORE_CALLS,
    LAST_WORDS_SECONDS,
    LAST_WRITES_SECONDS,
    LOG_SECONDS,
    SESSION_END_SECONDS,
    SHUTDOWN_SECONDS,
    STORE_CALL_SECONDS,
    STORE_SOCKET_SECONDS,
    TASKS_SECONDS,
)
from worker.call.checkpoints import SHOWN_SECONDS


def test_all_of_a_calls_end_fits_before_it_is_cut_off() -> None:
    assert CANCEL_SECONDS + CALL_END_SECONDS + STORE_SOCKET_SECONDS <= SESSION_END_SECONDS


def test_a_process_says_that_it_is_forced_to_go_before_its_worker_kills_it() -> None:
    assert SESSION_END_SECONDS < GONE_SECONDS
    assert GONE_SECONDS + LOG_SECONDS < SHUTDOWN_SECONDS


def test_the_last_writes_are_made_by_a_store_that_answers_each_as_late_as_it_may() -> None:
    assert LAST_WORDS_SECONDS + LAST_WRITES_SECONDS >= LAST_STORE_CALLS * STORE_SOCKET_SECONDS


def test_the_callers_last_words_are_shown_even_if_they_wait_to_be_remembered() -> None:
    assert SHOWN_SECONDS < LAST_WORDS_SECONDS


def test_a_reply_that_comes_in_time_is_never_cut_off_by_the_calls_own_limit() -> None:
    assert STORE_SOCKET_SECONDS < STORE_CALL_SECONDS < 1.0  # the API answers `store_unavailable` within a second


def test_a_call_whose_worker_died_says_so_before_others_notice_its_silence() -> None:
    assert ABANDON_SECONDS < SILENT_SECONDS


def test_an_agent_may_end_by_itself_before_its_room_is_closed() -> None:
    assert GONE_SECONDS + LOG_SECONDS < GOODBYE_SECONDS


def test_a_dispatcher_that_is_told_to_stop_is_gone_before_it_is_killed() -> None:
    assert ANSWERS_SECONDS + TASKS_SECONDS + STORE_SOCKET_SECONDS <= DISPATCHER_STOP_SECONDS
