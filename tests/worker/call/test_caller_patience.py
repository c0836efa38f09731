"""Every order in which a caller's joins and leaves can arrive; a caller's sid changes with each join."""

import pytest

from session.record import CallerPresence, EndReason
from worker.call.caller_patience import CallerPatience, Patience

PATIENCE = Patience(join=300, dropped=30, hung_up=10)


def presence(patience: Patience = PATIENCE, *, started: float = 1000.0) -> CallerPatience:
    return CallerPatience(patience, started)


def test_nobody_joins() -> None:
    nobody = presence()
    assert nobody.caller is CallerPresence.ABSENT
    assert nobody.deadline == 1300
    assert nobody.verdict(1299.9) is None
    assert nobody.verdict(1300) is EndReason.NOT_JOINED


def test_a_caller_who_is_there_may_stay_for_ever() -> None:
    there = presence()
    there.joined("PA_1")
    assert there.caller is CallerPresence.PRESENT
    assert there.deadline is None
    assert there.verdict(1e9) is None


@pytest.mark.parametrize(("by_itself", "grace"), [(True, 10), (False, 30)])
def test_a_hang_up_is_waited_for_shorter_than_a_drop(by_itself: bool, grace: float) -> None:
    away = presence()
    away.joined("PA_1")
    assert away.left("PA_1", 1500, by_itself=by_itself) is True
    assert away.caller is CallerPresence.AWAY
    assert away.deadline == 1500 + grace
    assert away.verdict(1500 + grace - 0.1) is None
    assert away.verdict(1500 + grace) is EndReason.CALLER_LEFT


def test_a_caller_who_comes_back_within_the_grace_goes_on() -> None:
    back = presence()
    back.joined("PA_1")
    back.left("PA_1", 1500, by_itself=True)
    back.joined("PA_2")
    assert back.caller is CallerPresence.PRESENT
    assert back.verdict(1600) is None


def test_a_takeover_whose_new_join_comes_first_is_no_leaving() -> None:
    taken_over = presence()
    taken_over.joined("PA_1")
    taken_over.joined("PA_2")
    assert taken_over.left("PA_1", 1500, by_itself=False) is False
    assert taken_over.caller is CallerPresence.PRESENT
    assert taken_over.deadline is None


def test_a_takeover_whose_old_leave_comes_first_ends_nothing() -> None:
    taken_over = presence()
    taken_over.joined("PA_1")
    assert taken_over.left("PA_1", 1500, by_itself=False) is True
    taken_over.joined("PA_2")
    assert taken_over.verdict(1e9) is None


def test_the_old_join_leaving_a_second_time_ends_nothing() -> None:
    doubled = presence()
    doubled.joined("PA_1")
    doubled.left("PA_1", 1500, by_itself=True)
    doubled.joined("PA_2")
    assert doubled.left("PA_1", 1501, by_itself=True) is False
    assert doubled.verdict(1e9) is None


def test_a_leave_that_is_told_twice_does_not_prolong_the_grace() -> None:
    doubled = presence()
    doubled.joined("PA_1")
    doubled.left("PA_1", 1500, by_itself=True)
    assert doubled.left("PA_1", 1509, by_itself=False) is False
    assert doubled.verdict(1510) is EndReason.CALLER_LEFT


def test_a_leave_before_any_join_changes_nothing() -> None:
    early = presence()
    assert early.left("PA_1", 1001, by_itself=True) is False
    assert early.caller is CallerPresence.ABSENT
    assert early.verdict(1300) is EndReason.NOT_JOINED


def test_the_third_of_three_joins_is_the_one_that_counts() -> None:
    thrice = presence()
    for sid in ("PA_1", "PA_2", "PA_3"):
        thrice.joined(sid)
    assert thrice.left("PA_2", 1500, by_itself=True) is False
    assert thrice.left("PA_1", 1500, by_itself=True) is False
    assert thrice.left("PA_3", 1500, by_itself=True) is True


def test_a_second_absence_has_a_grace_of_its_own() -> None:
    twice = presence()
    twice.joined("PA_1")
    twice.left("PA_1", 1500, by_itself=False)
    twice.joined("PA_2")
    twice.left("PA_2", 1600, by_itself=True)
    assert twice.deadline == 1610


def test_the_longest_call_ends_though_the_caller_is_there() -> None:
    long = presence(Patience(join=300, dropped=30, hung_up=10, whole=600))
    long.joined("PA_1")
    assert long.deadline == 1600
    assert long.verdict(1599.9) is None
    assert long.verdict(1600) is EndReason.MAX_DURATION


def test_the_nearer_of_grace_and_longest_call_is_the_deadline() -> None:
    long = presence(Patience(join=300, dropped=30, hung_up=10, whole=600))
    long.joined("PA_1")
    long.left("PA_1", 1500, by_itself=True)
    assert long.deadline == 1510
    long.joined("PA_2")
    long.left("PA_2", 1595, by_itself=True)
    assert long.deadline == 1600
    assert long.verdict(1600) is EndReason.MAX_DURATION


def test_no_patience_at_all_ends_with_the_leave() -> None:
    brusque = presence(Patience(join=300, dropped=0, hung_up=0))
    brusque.joined("PA_1")
    brusque.left("PA_1", 1500, by_itself=True)
    assert brusque.verdict(1500) is EndReason.CALLER_LEFT
