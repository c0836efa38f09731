"""`greenroom up` as a program: real Valkey, real livekit-server, small programs in the place of ours."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.harness.system import NotReady, System, alive, free_ports, until

# `python -m` looks into the working directory first: there, these stand for the real dispatcher and worker.
DISPATCHER = """
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "healthy", "sessions": {"pool": 1}}).encode())
    def log_message(self, *_): pass
print("key", os.environ["LIVEKIT_API_KEY"], "at", os.environ["LIVEKIT_URL"], os.environ["REDIS_URL"], flush=True)
HTTPServer(("127.0.0.1", int(os.environ["GREENROOM_PORT"])), Handler).serve_forever()
"""
WORKER = """
import signal, subprocess, sys
children = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
def end(*_):
    for child in children:
        child.terminate()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
children[0].wait()
"""


def stand_ins(directory: Path, *, dispatcher: str = DISPATCHER, worker: str = WORKER) -> Path:
    """A working directory in which ours are small."""
    for name, text in (("dispatcher", dispatcher), ("worker", worker)):
        package = directory / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(text)
    return directory


@pytest.fixture
def system(tmp_path):
    with System(stand_ins(tmp_path), deadline=30) as system:
        yield system


def tried(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A `greenroom up` that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "cli", "up"],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_it_says_once_that_it_is_ready_and_stops_without_a_trace(system):
    assert system.log().splitlines().count(f"Greenroom is ready: {system.url}") == 1
    assert list(system.pids) == ["up", "valkey", "livekit", "dispatcher", "worker"]
    everything = system.processes()
    assert len(everything) >= 8  # up, its reaper, four parts, the worker's two children
    began = time.monotonic()
    assert system.stop() == 0
    assert time.monotonic() - began < 10
    assert [process for process in everything if alive(process.pid)] == []
    assert not (system.directory / "ready.json").exists()
    assert system.log().splitlines()[-1] == "greenroom  | stopped"


def test_a_part_that_is_killed_comes_back_with_the_store_untouched(system):
    before = system.pids
    os.kill(before["dispatcher"], signal.SIGKILL)
    until(lambda: system.pids["dispatcher"] != before["dispatcher"], 15, "another dispatcher")
    assert system.pids["valkey"] == before["valkey"]
    assert "dispatcher died (killed by SIGKILL); starting it again in 0.5 s" in system.log()
    assert system.log().splitlines().count(f"Greenroom is ready: {system.url}") == 1


def test_killed_without_warning_it_leaves_no_process_behind_and_can_start_again(system):
    everything = system.processes()
    system.process.kill()
    system.process.wait()
    until(lambda: not any(alive(process.pid) for process in everything), 8, "every process is gone")
    with System(system.directory, deadline=30) as again:
        assert again.livekit_api_secret == system.livekit_api_secret


def test_started_again_at_once_after_a_kill_it_waits_for_the_cleaning(system):
    system.process.kill()
    system.process.wait()
    with System(system.directory, deadline=30):
        pass


def test_a_second_one_in_the_same_directory_is_refused_at_once(system):
    refused = tried(system.directory, **{name: str(port) for name, port in system.ports.items()})
    assert refused.returncode == 2
    assert f"another `greenroom up` (process {system.process.pid})" in refused.stderr
    assert "GREENROOM_STATE_DIR" in refused.stderr


def test_two_of_them_run_side_by_side(system, tmp_path_factory):
    with System(stand_ins(tmp_path_factory.mktemp("other")), deadline=30) as other:
        assert other.url != system.url
        assert other.livekit_api_secret != system.livekit_api_secret
        assert alive(system.pids["worker"])


def test_the_livekit_server_takes_our_keys_and_listens_on_loopback_alone(system):
    facts = json.loads((system.directory / "ready.json").read_text())
    assert system.livekit_api_secret not in json.dumps(facts)
    assert f"key {system.livekit_api_key} at {system.livekit_url} {system.redis_url}" in system.log()
    port = system.ports["GREENROOM_LIVEKIT_PORT"]
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    assert system.livekit_api_secret not in system.log()


def test_a_taken_port_is_named_with_its_setting_before_anything_starts(tmp_path):
    ports = dict(zip(("GREENROOM_PORT", "GREENROOM_LIVEKIT_UDP_PORT"), free_ports(2), strict=True))
    with (
        socket.create_server(("127.0.0.1", ports["GREENROOM_PORT"])),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker,
    ):
        taker.bind(("127.0.0.1", ports["GREENROOM_LIVEKIT_UDP_PORT"]))
        refused = tried(stand_ins(tmp_path), **{name: str(port) for name, port in ports.items()})
    assert refused.returncode == 2
    for name, port in ports.items():
        assert f"port {port} " in refused.stderr
        assert f"set {name} to another" in refused.stderr
    assert refused.stdout == ""


def test_what_is_configured_elsewhere_is_not_started(tmp_path):
    elsewhere = {
        "REDIS_URL": "redis://elsewhere:6379/0",
        "LIVEKIT_URL": "ws://elsewhere:7880",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "s" * 40,
    }
    with System(stand_ins(tmp_path), elsewhere, deadline=30) as system:
        assert list(system.pids) == ["up", "dispatcher", "worker"]
        assert "key key at ws://elsewhere:7880 redis://elsewhere:6379/0" in system.log()
        assert not (tmp_path / ".greenroom" / "keys.json").exists()


def test_a_file_of_settings_in_the_working_directory_counts(tmp_path):
    stand_ins(tmp_path)
    (tmp_path / ".env").write_text("REDIS_URL=redis://elsewhere:6379/0\nGREENROOM_STATE_DIR=elsewhere\n")
    with System(tmp_path, deadline=30) as system:
        assert "valkey" not in system.pids
        assert (tmp_path / "elsewhere" / "keys.json").exists()


def test_a_part_that_cannot_run_ends_it_with_an_error(tmp_path):
    nobody_warm = DISPATCHER.replace('{"pool": 1}', '{"pool": 0}')
    stand_ins(tmp_path, dispatcher=nobody_warm, worker="raise SystemExit('the agent file is broken')")
    with pytest.raises(NotReady, match=r"exit code 1\n(.*\n)*worker +\| the agent file is broken") as ended:
        System(tmp_path, deadline=30)
    assert "worker died 3 times while starting" in str(ended.value)


def test_a_wrong_setting_is_an_error_of_one_line(tmp_path):
    refused = tried(tmp_path, GREENROOM_PORT="http")
    assert refused.returncode == 2
    assert refused.stderr == "greenroom up: GREENROOM_PORT must be a port, 1 to 65535, not 'http'\n"
