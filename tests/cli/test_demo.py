"""`greenroom demo`, with small programs in the place of ours and of the call."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.harness.system import FOREIGN, PORTS, alive, free_ports, until
from tests.cli.up.test_command import stand_ins

# The real demonstration, with the program below in the place of the command `greenroom`: its calls are ours.
RUN = """
import sys
import cli.demo
cli.demo.GREENROOM = (sys.executable, {greenroom!r})
sys.exit(cli.demo.demo(None))
"""
GREENROOM = """
import sys, time
if sys.argv[1] == "call":
    print("calling", *sys.argv[2:], flush=True)
    {call}
from cli.__main__ import main
main()
"""


def start(directory: Path, call: str) -> subprocess.Popen[str]:
    """A demonstration whose call is the Python statement `call`."""
    stand_ins(directory)
    greenroom = directory / "greenroom.py"
    greenroom.write_text(GREENROOM.format(call=call))
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(greenroom=str(greenroom))],
        cwd=directory,
        # `python FILE` doesn't look into the working directory, where the stand-ins are, but the parts do: `python -m`.
        env={**environment, **ports},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("code", [0, 1])
def test_its_exit_code_is_the_calls_and_nothing_is_left(tmp_path, code):
    with start(tmp_path, f"sys.exit({code})") as demo:
        assert demo.stdout is not None
        seen: list[psutil.Process] = []
        shown: list[str] = []
        for line in demo.stdout:
            shown.append(line)
            if "calling" in line:
                seen = psutil.Process(demo.pid).children(recursive=True)
    assert demo.returncode == code
    assert "demo: stopping\n" in shown
    assert any(line.startswith("calling --url http://127.0.0.1:") for line in shown)
    until(lambda: not any(alive(process.pid) for process in seen), 5, "every process is gone")


def test_when_greenroom_cannot_start_its_last_lines_say_why(tmp_path):
    (tmp_path / ".greenroom").mkdir()
    (tmp_path / ".greenroom" / "keys.json").write_text("broken")
    with start(tmp_path, "sys.exit(0)") as demo:
        shown, _ = demo.communicate(timeout=60)
    assert demo.returncode == 2
    assert "holds no keys" in shown
    assert "calling" not in shown.replace("; calling", "")


def test_killed_in_the_call_it_leaves_nothing_behind(tmp_path):
    with start(tmp_path, "time.sleep(60)") as demo:
        assert demo.stdout is not None
        while "calling" not in demo.stdout.readline():
            pass
        up = [process for process in psutil.Process(demo.pid).children(recursive=True) if process.ppid() != demo.pid]
        demo.send_signal(signal.SIGKILL)
        demo.wait()
        until(lambda: not any(alive(process.pid) for process in up), 15, "every process is gone")
        for process in psutil.process_iter(["cmdline"]):
            if str(tmp_path / "greenroom.py") in (process.info["cmdline"] or ()):
                process.kill()  # the call, which nobody told; a real one is in the terminal and gets its hang-up
