"""The steps of both clocks in one list."""

import io

from rich.console import Console

from cli import waterfall


def test_both_sides_come_in_order_and_what_was_not_seen_is_left_out():
    steps = waterfall.merged([("room", 5.0), ("ready", 380.0)], {"caller joined": 200.0, "greeting heard": None})
    assert [(step.name, step.by) for step in steps] == [
        ("room", "server"),
        ("caller joined", "caller"),
        ("ready", "server"),
    ]


def test_the_table_shows_every_step_with_its_milliseconds():
    out = io.StringIO()
    steps = waterfall.merged([("request", 0.0), ("ready", 380.4)], {"greeting heard": 612.0})
    Console(file=out, width=100).print(waterfall.table(steps))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["ready", "server", "380"] in [line[:3] for line in lines]
    bars = {line[0]: len(line[-1]) for line in lines if line and set(line[-1]) == {"█"}}
    assert bars["greeting"] == waterfall.BAR
    assert bars["request"] == 1
    assert bars["request"] < bars["ready"] < bars["greeting"]


def test_a_start_without_steps_is_an_empty_table():
    out = io.StringIO()
    Console(file=out, width=100).print(waterfall.table([]))
    assert "Start of the call" in out.getvalue()
