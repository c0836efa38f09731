"""What a soak came to."""

import io
import json

from rich.console import Console

from bench.soak.report import as_json, draw, faults, passed, table
from bench.soak.samples import ROLES, Sample, Usage

MACHINE = {"cpu": "a processor", "cores": 2, "memoryGB": 8.0, "command": "python -m bench.soak"}


def soak(count=20, *, leak=0.0, zombies=()):
    """Samples of a soak in which the dispatcher leaks so many MB a sample, and some processes stay unburied."""
    return [
        Sample(
            number * 10.0,
            [Usage(role, 50.0 + (leak * number if role == "dispatcher" else 0.0), 20) for role in ROLES],
            pss=700.0,
            keys=30,
            lasting=12,
            rooms=2,
            zombies=zombies,
        )
        for number in range(count)
    ]


def test_where_nothing_grows_the_soak_passes():
    assert passed(soak())
    assert faults(soak()) == []


def test_a_leak_in_one_process_fails_it_and_is_named():
    assert not passed(soak(leak=2.0))
    assert faults(soak(leak=2.0)) == ["memory, dispatcher: from 61.0 to 85.0 MB"]


def test_a_dead_process_that_stays_fails_it():
    assert not passed(soak(zombies=(77,)))
    assert faults(soak(zombies=(77,))) == ["process 77 is dead and nobody waits for it"]


def test_a_soak_that_was_too_short_to_say_does_not_pass():
    assert not passed(soak(count=5))


def test_the_table_says_what_grows():
    out = io.StringIO()
    Console(file=out, width=140).print(table("a soak", soak(leak=2.0)))
    (row,) = [line for line in out.getvalue().splitlines() if "memory, dispatcher" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "memory, dispatcher", "MB", "61.0", "85.0", "6.0", "grows",
    ]  # fmt: skip


def test_the_file_has_every_sample_and_verdict():
    found = json.loads(json.dumps(as_json(soak(leak=2.0))))
    assert (found["verdicts"]["memory, dispatcher"]["flat"], found["verdicts"]["memory, worker"]["flat"]) == (
        False,
        True,
    )
    assert len(found["samples"]) == 20


def test_a_picture_is_drawn_even_of_nothing(tmp_path):
    draw(tmp_path / "soak.png", "a soak", soak(leak=2.0), MACHINE)
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
    draw(tmp_path / "none.png", "no soak", [], MACHINE)
    assert (tmp_path / "none.png").read_bytes().startswith(b"\x89PNG")
