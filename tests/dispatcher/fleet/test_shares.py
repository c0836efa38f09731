"""How warm processes are shared out over workers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.fleet.shares import Room, prewarm, rooms, shares, told, wanted
from session.store.orders import PoolSize
from tests.session.making import NOON, a_worker

WORKERS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.integers(0, 12).flatmap(lambda slots: st.integers(0, slots).map(lambda free: Room(slots, free))),
)


@given(size=st.integers(0, 60), among=WORKERS, held=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 20)))
def test_all_of_the_size_is_shared_out_as_far_as_slots_go(
    size: int, among: dict[str, Room], held: dict[str, int]
) -> None:
    given = shares(size, among, held)
    assert set(given) == set(among)
    assert sum(given.values()) == min(size, sum(room.slots for room in among.values()))
    assert all(0 <= given[each] <= among[each].slots for each in among)
    assert shares(size, among, given) == given  # nothing moves without a reason


@pytest.mark.parametrize(
    ("size", "free", "expected"),
    [
        (6, (8, 4), (4, 2)),
        (3, (8, 8), (2, 1)),
        (0, (8, 4), (0, 0)),
        (2, (0, 8), (0, 2)),
        (99, (8, 4), (8, 8)),
    ],
)
def test_the_free_slots_say_who_gets_how_many(size: int, free: tuple[int, int], expected: tuple[int, int]) -> None:
    given = shares(size, {"a": Room(8, free[0]), "b": Room(8, free[1])}, {})
    assert sorted(given.values(), reverse=True) == sorted(expected, reverse=True)
    assert given["a"] >= given["b"] or free[0] < free[1] or free == (8, 8)


def test_what_is_held_stays_where_it_is() -> None:
    assert shares(4, {"a": Room(8, 1), "b": Room(8, 8)}, {"a": 3, "b": 1}) == {"a": 3, "b": 1}
    assert shares(5, {"a": Room(8, 1), "b": Room(8, 8)}, {"a": 3, "b": 1}) == {"a": 3, "b": 2}
    assert shares(3, {"a": Room(8, 1), "b": Room(8, 8)}, {"a": 3, "b": 1}) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    "changes", [{"cordoned": True}, {"draining": True}, {"left": True}, {"slots": 0}], ids=lambda each: str(*each)
)
def test_who_takes_no_calls_has_no_room(changes: dict[str, Any]) -> None:
    assert rooms([a_worker("a", **changes), a_worker("b", slots=4, active=1)]) == {"b": Room(4, 3)}


def test_an_order_holds_until_the_newest_worker_is_configured_otherwise() -> None:
    old, new = a_worker("a", prewarm=3, started_at=NOON), a_worker("b", prewarm=5, started_at=NOON + 1)
    ordered = PoolSize(size=9, prewarm=3)
    assert wanted(ordered, prewarm([old])) == 9
    assert wanted(ordered, prewarm([old, new])) == 5
    assert wanted(None, prewarm([old])) == 3
    assert prewarm([a_worker("a", target=4, prewarm=None)]) == 4  # a worker of the release before


def test_the_cordoned_keep_nothing_and_who_is_not_warm_yet_goes_on_as_before() -> None:
    cordoned, warming, known = a_worker("a", cordoned=True), a_worker("b", slots=0), a_worker("c", slots=0)
    gone = a_worker("d", left=True)
    before = {"a": 2, "c": 1, "d": 4}
    assert told([cordoned, warming, known, gone], {"e": 3}, before) == {"e": 3, "a": 0, "c": 1}
