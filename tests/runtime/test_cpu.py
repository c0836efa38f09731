import os

import pytest

from runtime.cpu import cores

ALLOWED = float(len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("told", "granted"),
    [
        ("50000 100000", 0.5),
        ("max 100000", ALLOWED),
        ("6400000 100000", ALLOWED),
        ("nonsense", ALLOWED),
        ("1 0", ALLOWED),
    ],
)
def test_no_more_cores_are_used_than_the_container_is_granted(tmp_path, told, granted):
    quota = tmp_path / "cpu.max"
    quota.write_text(told)
    assert cores(quota) == granted


def test_without_a_quota_every_core_that_the_process_may_run_on_counts(tmp_path):
    assert cores(tmp_path / "absent") == ALLOWED
