"""What cleans up after `greenroom up`, however that ended."""

import subprocess
import sys

import psutil
import pytest

from bench.harness.system import alive, until
from cli.up.reaper import Reaper

IGNORES_TERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_group_that_was_added_ends_when_the_keeper_is_closed(sleeper):
    reaper = Reaper()
    reaper.add(sleeper.pid)
    reaper.close()
    assert sleeper.wait(5) == -15


def test_a_group_that_was_removed_is_left_alone(sleeper):
    reaper = Reaper()
    reaper.add(sleeper.pid)
    reaper.add(1_999_999_999)
    reaper.remove(sleeper.pid)
    reaper.close()
    assert sleeper.poll() is None


def test_a_group_that_ignores_the_request_is_killed():
    with subprocess.Popen([sys.executable, "-c", IGNORES_TERM], start_new_session=True, stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        reaper = Reaper()
        reaper.add(deaf.pid)
        reaper.close()
        assert deaf.wait(5) == -9


def test_children_of_a_dead_program_are_ended_with_its_group():
    with subprocess.Popen(["sh", "-c", "sleep 61 & sleep 61"], start_new_session=True) as parent:
        children = until(lambda: len(found := psutil.Process(parent.pid).children()) == 2 and found, 5, "two children")
        reaper = Reaper()
        reaper.add(parent.pid)
        parent.kill()
        parent.wait()
        reaper.close()
        until(lambda: not any(alive(child.pid) for child in children), 5, "the children are gone")


def test_it_ends_everything_when_whoever_started_it_is_killed(sleeper):
    add = f"from cli.up.reaper import Reaper; import time; Reaper().add({sleeper.pid})"
    script = f"{add}; print('added', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        starter.kill()
    assert sleeper.wait(5) == -15


def test_a_keeper_that_somebody_killed_holds_nobody_up(sleeper):
    reaper = Reaper()
    reaper._shell.kill()
    reaper._shell.wait()
    reaper.add(sleeper.pid)
    reaper.close()
    assert sleeper.poll() is None
