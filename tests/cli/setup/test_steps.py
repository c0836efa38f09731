"""Long steps of the set-up."""

import sys

import pytest

from cli.setup.steps import StepFailed, run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_step_says_what_it_does_and_that_it_is_done(capsys):
    run("baking", python("print('hot')"), instead="buy bread")
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "setup: baking"
    assert out[1].startswith("setup:   done in ")


def test_a_long_step_says_how_far_it_is(capsys):
    slow = "import time\nfor n in range(4): print('loaf', n, flush=True); time.sleep(0.2)"
    run("baking", python(slow), instead="", tick_seconds=0.1, progress=lambda lines: f"{len(lines)} loaves")
    assert any("1 loaves" in line for line in capsys.readouterr().out.splitlines())


def test_a_failed_step_shows_its_last_lines_and_says_what_to_do_instead(capsys):
    code = "import sys; [print('line', n) for n in range(100)]; print('no flour', file=sys.stderr); sys.exit(4)"
    with pytest.raises(StepFailed, match="baking: failed with exit code 4\nbuy bread"):
        run("baking", python(code), instead="buy bread")
    shown = capsys.readouterr().err.splitlines()
    assert "no flour" in shown
    assert "line 99" in shown
    assert "line 1" not in shown


def test_a_program_that_is_missing_is_a_failed_step():
    with pytest.raises(StepFailed, match="buy bread"):
        run("baking", ["/no-such-oven"], instead="buy bread")


def test_a_step_sees_the_environment_that_it_is_given(capsys):
    run("baking", python("import os; assert os.environ['FLOUR'] == 'rye'"), instead="", environment={"FLOUR": "rye"})
