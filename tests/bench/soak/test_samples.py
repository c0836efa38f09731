"""What a sample says of each process and of the servers."""

import pytest

from bench.soak.flat import Allowed
from bench.soak.samples import Sample, Series, Usage, role_of, series

PARTS = {10: "up", 11: "valkey", 12: "livekit", 13: "dispatcher", 14: "worker"}
PARENTS = {11: 10, 12: 10, 13: 10, 14: 10, 15: 10, 20: 14, 21: 14, 30: 20, 31: 20}


@pytest.mark.parametrize(
    ("pid", "role"),
    [(10, "up"), (13, "dispatcher"), (14, "worker"), (20, "forkserver"), (30, "job"), (21, "other"), (15, "other")],
    ids=["up", "a part", "the worker", "who has children", "its children", "a childless helper", "another helper"],
)
def test_a_role_is_told_from_who_is_whose_child(pid, role):
    assert role_of(pid, PARENTS, PARTS) == role


def sample(at, *usages, keys=5, rooms=2):
    return Sample(at, usages, pss=700.0, keys=keys, lasting=keys - 3, rooms=rooms, zombies=())


def test_several_processes_of_one_role_count_by_their_mean():
    found = {
        each.name: each.values
        for each in series([
            sample(0.0, Usage("call", 30.0, 50), Usage("call", 50.0, 60), Usage("worker", 80.0, 20)),
            sample(10.0, Usage("worker", 81.0, 21), keys=9, rooms=1),
        ])
    }  # fmt: skip
    assert found["memory, call"] == [40.0, None]
    assert found["open files, call"] == [55.0, None]
    assert found["memory, worker"] == [80.0, 81.0]
    assert found["memory, all together"] == [700.0, 700.0]
    assert (found["keys in the store"], found["rooms on the server"]) == ([5.0, 9.0], [2.0, 1.0])
    assert found["keys that never expire"] == [2.0, 6.0]
    assert found["processes"] == [3.0, 1.0]


def over_time(values, settles=0.0):
    return Series("x", "", [10.0 * number for number in range(len(values))], values, Allowed(1), settles)


def test_what_grows_until_it_has_settled_is_judged_from_then_on():
    rises = [float(min(number, 30)) for number in range(60)]
    assert over_time(rises).verdict.flat is False
    assert over_time(rises, settles=300.0).verdict.flat is True
    assert over_time([float(number) for number in range(60)], settles=300.0).passes is False


def test_a_soak_that_is_over_before_it_has_settled_says_nothing_of_it():
    short = over_time([float(number) for number in range(20)], settles=300.0)
    assert (short.verdict.flat, short.passes) == (None, True)


def test_what_needs_no_settling_must_be_known_to_be_flat():
    assert not over_time([1.0] * 5).passes
