"""The command as a user types it."""

import asyncio
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bench.harness.system import free_ports
from cli.call import call
from client import wav
from client.wav import Sound
from tests.support.standin import standing_in

pytestmark = pytest.mark.anyio


@pytest.fixture
def recording(tmp_path):
    at = np.arange(8000 // 2)
    wav.write(tmp_path / "said.wav", Sound(np.rint(5000 * np.sin(2 * np.pi * 300 * at / 8000)).astype(np.int16), 8000))
    return tmp_path / "said.wav"


async def greenroom_call(*options, **environment):
    """Exit code, output and errors of `greenroom call` with these options; in a thread, as it has a loop of its own."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(call)
    result = await asyncio.to_thread(
        CliRunner().invoke,
        app,
        [str(option) for option in options],
        env={"COLUMNS": "120", "NO_COLOR": "1", **environment},
    )
    return result.exit_code, result.stdout, result.stderr


async def test_a_recording_is_spoken_and_the_call_is_shown(standin, recording, tmp_path):
    saved = tmp_path / "agent.wav"
    code, out, err = await greenroom_call(
        "--url", standin.url, "--wav", recording, "--agent", "default", "--expect", "42", "--save", saved
    )
    assert (code, err) == (0, "")
    spoken = [line.split(maxsplit=1) for line in out.splitlines() if line.startswith(("you", "agent  "))]
    assert spoken == [["agent", "Beep, I am here."], ["you", "Are you there?"], ["agent", "Beep, 42."]]
    for step in ("room", "caller joined", "agent seen, with its track", "greeting heard"):
        assert step in out
    assert "end of speech → answer heard, turn 1:" in out
    assert np.abs(wav.read(saved).samples).max() > 3000
    assert standin.started[0]["agent"] == "default"
    assert standin.stopped == ["session_0"]


async def test_what_was_expected_and_not_said_is_a_failure_in_json_too(standin):
    code, out, err = await greenroom_call(
        "--url", standin.url, "--say", "hello", "--json", "--keep", "--expect", "hello", "--expect", "goodbye"
    )
    assert (code, err) == (1, "greenroom call: the agent didn't say “goodbye”\n")
    answer = json.loads(out)
    assert (answer["success"], answer["error"]) == (False, "the agent didn't say “goodbye”")
    assert answer["sessionId"] == "session_0"
    lines = [line["text"] for line in answer["transcript"]]
    assert lines == ["Beep, I am here.", "hello", "You wrote hello"]  # with what was typed, as a page shows it
    assert {"name": "room", "ms": 5.0, "by": "server"} in answer["timings"]
    assert len(answer["answersMs"]) == 1
    assert standin.stopped == []  # --keep


async def test_a_refused_start_is_a_failure_with_its_reason(livekit_url):
    async with standing_in(livekit_url, comes=False) as standin:
        code, _, err = await greenroom_call("--url", standin.url, "--say", "x", "--agent", "nobody")
    assert (code, err) == (1, "greenroom call: There is no such agent (unknown_agent, HTTP 422)\n")


async def test_without_greenroom_the_way_to_start_it_is_told():
    code, _, err = await greenroom_call("--url", f"http://127.0.0.1:{free_ports(1)[0]}", "--say", "x")
    assert code == 1
    assert "Is Greenroom running? Start it with `make up`" in err


async def test_it_calls_where_greenroom_up_would_run_unless_told_otherwise():
    port = str(free_ports(1)[0])
    code, _, err = await greenroom_call("--say", "x", GREENROOM_PORT=port)
    assert code == 1
    assert f"nothing answers at http://127.0.0.1:{port}." in err
    code, _, err = await greenroom_call("--say", "x", GREENROOM_PORT="http")
    assert (code, err) == (2, "greenroom call: GREENROOM_PORT must be a port, 1 to 65535, not 'http'\n")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--wav", "/no/such.wav"), "/no/such.wav: No such file"),
        (("--wav", "/etc/passwd"), "no PCM WAV"),
        (("--wav", "x.wav", "--mic"), "exclude each other"),
        (("--say", "x", "--url", "127.0.0.1:8080"), "must begin with http"),
        (("--say", "x", "--save", "/no/such/place.wav"), "there is no directory /no/such"),
    ],
    ids=["no file", "no recording", "both sources", "no address", "nowhere to save"],
)
async def test_wrong_use_is_told_before_any_call(options, complaint):
    code, out, err = await greenroom_call(*options)
    assert (code, out) == (2, "")
    assert complaint in err
