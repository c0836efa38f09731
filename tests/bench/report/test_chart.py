"""The picture that a run leaves."""

from bench.compare.figures import figures
from bench.report import chart

MACHINE = {"cpu": "a processor", "cores": 2, "memoryGB": 8.0, "kernel": "6", "python": "3.11"}


def test_a_picture_is_drawn_of_whatever_was_measured(tmp_path):
    found = figures()
    found["agent"].ours.extend([0.4, 0.5])
    found["agent"].theirs.extend([5.0])
    found["own_idle"].ours.append(11.0)
    chart.draw(tmp_path / "bench.png", found, MACHINE)
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_nothing_is_no_fault(tmp_path):
    chart.draw(tmp_path / "bench.png", figures(), MACHINE)
    assert (tmp_path / "bench.png").stat().st_size > 1000
