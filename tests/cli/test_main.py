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
    assert [name for name in ("up", "dev", "demo", "call") if f" {name} " not in shown] == []
    assert "Run everything on this machine" in shown


def test_the_long_lived_up_loads_no_media_and_no_pydantic():
    heavy = ("numpy", "livekit", "pydantic", "typer")
    script = f"import sys, cli.up.command; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert loaded.stdout.strip() == "[]", loaded.stderr


def test_a_wrong_command_is_an_error():
    assert greenroom("sing").returncode == 2
