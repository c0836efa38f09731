"""A forkserver and its processes are not stopped by what is meant for the worker's parent."""

from __future__ import annotations

import signal
import subprocess
import sys

from bench.harness.system import ROOT

CHILD = """
import multiprocessing, os, signal

def stopped(_):
    os.kill(os.getppid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    return "still here"

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["worker.process.forkserver"])
    with context.Pool(1, maxtasksperchild=1) as pool:
        for number in range(2):
            print(pool.apply_async(stopped, [number]).get(timeout=20))
        pool.close()
        pool.join()
"""


def test_a_forkserver_and_its_processes_outlive_a_sigterm(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(CHILD)
    result = subprocess.run(
        [sys.executable, script],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout == "still here\nstill here\n", result.stderr


def test_nobody_else_is_made_to_ignore_it():
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
