"""Tables and lines of counts."""

import io

from rich.console import Console

from bench.report.tables import Row, counted, figures


def printed(shown):
    out = io.StringIO()
    Console(file=out, width=140).print(shown)
    return out.getvalue()


def test_a_row_has_median_p95_most_and_how_many():
    text = printed(figures("calls", [Row("to the agent", "s", [float(n) / 100 for n in range(1, 101)])]))
    (row,) = [line for line in text.splitlines() if "to the agent" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["to the agent", "s", "0.51", "0.95", "1.00", "100"]


def test_what_was_not_measured_has_no_row():
    assert "to the agent" not in printed(figures("calls", [Row("to the agent", "s", [])]))


def test_zeros_are_left_out_except_where_they_are_the_point():
    assert counted({"calls": 3, "lost": 0, "queued": 0}, bad=("lost",)).plain == "calls 3 · lost 0"


def test_what_is_bad_is_red_only_when_there_is_some():
    assert [span.style for span in counted({"lost": 0}, bad=("lost",)).spans] == ["green"]
    assert [span.style for span in counted({"lost": 1}, bad=("lost",)).spans] == ["bold red"]
