"""The command `greenroom` itself."""

import subprocess
import sys

from bench.harness.system import ROOT


def greenroom(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_lists_its_commands_with_what_they_do():
    shown = greenroom("--help").stdout
    assert [name for name in ("up", "dev", "demo", "test", "call") if f" {name} " not in shown] == []
    assert "Run everything on this machine" in shown


def test_the_long_lived_up_loads_no_media_and_no_pydantic():
    heavy = ("numpy", "livekit", "pydantic", "typer")
    script = f"import sys, cli.up.command; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert loaded.stdout.strip() == "[]", loaded.stderr


def test_the_conversations_of_the_agent_that_ships_go_as_expected():
    held = greenroom("test")
    assert held.returncode == 0, held.stdout + held.stderr
    assert "agents/tests/default.yaml" in held.stdout
    assert "agents/tests/test_default.py" in held.stdout
    assert held.stderr == ""


def test_the_help_of_a_command_that_is_handed_on_is_its_own():
    assert "--speech" in greenroom("test", "--help").stdout


def test_a_wrong_command_is_an_error():
    assert greenroom("sing").returncode == 2
