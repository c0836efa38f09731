"""The table and the file that a run leaves."""

import io
import json

from rich.console import Console

from bench.compare.figures import figures
from bench.report import report
from bench.report.stats import Figure, Target


def printed(*shown):
    out = io.StringIO()
    Console(file=out, width=220).print(report.table(shown))
    return out.getvalue()


def test_a_row_has_both_designs_their_ratio_and_the_verdict():
    made = Figure("in the room", "s", [Target(0.45)], times_better=10, ours=[0.4, 0.42, 0.5], theirs=[5.0, 5.2])
    (row,) = [line for line in printed(made).splitlines() if "in the room" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == [
        "in the room", "s", "0.42 [0.50; 0.40-0.50]", "5.10 [5.20; 5.00-5.20]", "12.1×", "3/2", "≤ 0.45, 10×", "met",
    ]  # fmt: skip


def test_the_title_says_what_the_brackets_hold():
    assert "median [p95; least-most]" in printed(Figure("f" * 60, "s", ours=[0.2]))


def test_what_is_too_slow_is_said_to_be_missed():
    assert "missed" in printed(Figure("f", "s", [Target(0.1)], ours=[0.2]))


def test_what_was_not_measured_has_no_row():
    assert "in the room" not in printed(*figures().values())


def test_the_file_keeps_every_value(tmp_path):
    found = figures()
    found["agent"].ours.extend([0.4, 0.5])
    report.write(tmp_path / "bench.json", report.as_json(found, {"cpu": "a"}, ["a fault"]))
    read = json.loads((tmp_path / "bench.json").read_text())
    assert read["figures"]["agent"]["greenroom"]["values"] == [0.4, 0.5]
    assert read["figures"]["agent"]["mustReach"] == "≤ 0.45, 10×"
    assert read["figures"]["turn"]["greenroom"] == {"count": 0, "values": []}
    assert (read["machine"], read["faults"]) == ({"cpu": "a"}, ["a fault"])
