"""What starts around restarts came to."""

import json

import pytest

from bench.restarts.report import Restart, as_json, counts, draw, faults, passed, rows
from bench.restarts.start import StartFate

MACHINE = {"cpu": "a processor", "cores": 2, "memoryGB": 8.0, "command": "python -m bench.restarts"}
QUIET = StartFate(around=False, at=1.0, session="a", ready=0.5, attempt=1)
AROUND = StartFate(around=True, at=20.0, session="b", refusals=2, queued=True, ready=7.0, attempt=2)
LOST = StartFate(around=True, at=21.0, session="c", attempt=3, failed="error: not_claimed")
DOUBLED = StartFate(around=True, at=22.0, session="d", ready=3.0, attempt=2, overlap=1.4)
REFUSED = StartFate(around=True, at=23.0, refusals=9, refused=True, failed="no worker (no_worker, HTTP 503)")
RESTARTS = [Restart(20.1, "SIGTERM", 6.5), Restart(60.0, "SIGKILL", None)]


def test_starts_that_end_up_with_one_agent_pass_and_so_do_refused_ones():
    assert passed([QUIET, AROUND, REFUSED])


@pytest.mark.parametrize("bad", [LOST, DOUBLED])
def test_one_that_is_lost_or_doubled_fails_the_run_and_is_told(bad):
    assert not passed([QUIET, bad])
    (fault,) = faults([QUIET, bad])
    assert "around a restart" in fault
    assert str(bad.session) in fault


def test_they_are_counted_by_what_became_of_them():
    found = counts([QUIET, AROUND, LOST, DOUBLED, REFUSED], RESTARTS)
    assert {name: count for name, count in found.items() if count} == {
        "starts": 5,
        "around a restart": 4,
        "restarts": 2,
        "accepted": 4,
        "lost": 1,
        "doubled": 1,
        "refused for good": 1,
        "asked to try again": 11,
        "queued": 1,
        "dispatched again around a restart": 3,
    }


def test_the_quiet_and_the_restarts_have_figures_of_their_own():
    found = [list(row.values) for row in rows([QUIET, AROUND, LOST], RESTARTS)]
    assert found == [[0.5], [7.0], [6.5]]


def test_the_file_has_every_start_and_every_restart():
    found = json.loads(json.dumps(as_json([LOST], RESTARTS)))
    assert (found["starts"][0]["lost"], found["starts"][0]["session"]) == (True, "c")
    assert found["restarts"][1] == {"at": 60.0, "kind": "SIGKILL", "back": None}


def test_a_picture_is_drawn(tmp_path):
    draw(tmp_path / "restarts.png", "starts", [QUIET, AROUND, LOST, DOUBLED, REFUSED], RESTARTS, MACHINE)
    assert (tmp_path / "restarts.png").read_bytes().startswith(b"\x89PNG")
