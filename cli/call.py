"""The command `greenroom call`: places a real call as a front end would, and shows it live."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli import waterfall
from cli.devices import NoDevice, open_devices
from cli.live_transcript import LiveTranscript
from cli.up.settings import SettingError, UpSettings, environment
from cli.waterfall import WaterfallStep
from client import wav
from client.api import ControlError
from client.caller import Caller, CallError
from client.conversation import CallReport, hold, missing
from client.speech import DEFAULT_EXPECTS, DEFAULT_TEXTS, NoVoice, synthesised
from client.wav import BadWav

ANSWERED, FAILED, USAGE = 0, 1, 2  # exit codes


@dataclass(frozen=True)
class _Plan:
    """What to do in the call."""

    url: str
    key: str | None
    agent: str | None
    sounds: list[wav.Sound]
    texts: list[str]
    expects: list[str]
    expects_any: tuple[str, ...]
    mic: bool
    keep: bool
    save: Path | None


def call(
    wav: Annotated[
        list[Path] | None, typer.Option(help="16-bit WAV file to speak, any rate; may be repeated, one turn each.")
    ] = None,
    mic: Annotated[
        bool, typer.Option("--mic", help="Talk yourself, with this machine's devices; Ctrl-C ends.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Address of the dispatcher; by default where `make up` runs it here.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Which agent to talk to.")] = None,
    say: Annotated[list[str] | None, typer.Option(help="Text to write to the agent, after what is spoken.")] = None,
    expect: Annotated[list[str] | None, typer.Option(help="Fail unless the agent says this; may be repeated.")] = None,
    save: Annotated[Path | None, typer.Option(help="Save the agent's sound as a WAV file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the room without stopping the session.")] = False,
) -> None:
    """Place a call, speak and listen; exit code 0: understood and answered, 1: not, 2: used wrongly."""
    console = Console(stderr=as_json, highlight=False)
    logging.getLogger("livekit").setLevel(logging.CRITICAL)  # it reports the end of every room as an error
    try:
        settings = UpSettings.read(environment())
        plan = _plan(
            wav or [], mic, url or settings.url, settings.api_key, agent, say or [], expect or [], save, keep, console
        )
    except (BadWav, SettingError, ValueError) as error:
        raise typer.Exit(_fail(str(error), USAGE)) from error
    except NoVoice as error:
        raise typer.Exit(_fail(str(error), FAILED)) from error
    try:
        code = asyncio.run(_run(plan, console, as_json=as_json))
    except (CallError, ControlError) as error:
        code = _fail(str(error), FAILED)
    except NoDevice as error:
        code = _fail(str(error), USAGE)
    except KeyboardInterrupt:
        code = 130
    raise typer.Exit(code)


def _plan(
    files: list[Path],
    mic: bool,
    url: str,
    key: str | None,
    agent: str | None,
    texts: list[str],
    expects: list[str],
    save: Path | None,
    keep: bool,
    console: Console,
) -> _Plan:
    """What the options ask for. Raises ValueError when they contradict each other, BadWav, NoVoice."""
    if mic and files:
        raise ValueError("--mic and --wav exclude each other")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"--url must begin with http:// or https://, not be {url!r}")
    if save is not None and not save.absolute().parent.is_dir():
        raise ValueError(f"--save: there is no directory {save.absolute().parent}")
    sounds = [wav.read(path) for path in files]
    expects_any: tuple[str, ...] = ()
    if not (mic or files or texts):
        console.print(f"[dim]The bundled voice will say: {' '.join(DEFAULT_TEXTS)}[/dim]")
        sounds = [synthesised(text) for text in DEFAULT_TEXTS]
        expects_any = () if expects else DEFAULT_EXPECTS
    return _Plan(url, key, agent, sounds, texts, expects, expects_any, mic, keep, save)


async def _run(plan: _Plan, console: Console, *, as_json: bool) -> int:
    """Place the call; the exit code. Raises CallError, ControlError, NoDevice."""
    live = LiveTranscript(console)
    devices = open_devices() if plan.mic else None
    caller = Caller(
        plan.url,
        key=plan.key,
        source=devices.source if devices else None,
        on_line=None if as_json else live.show,
        on_track=devices.play if devices else None,
    )
    report = CallReport()
    try:
        async with caller:
            await caller.start(agent=plan.agent)
            try:
                await hold(caller, plan.sounds, plan.texts, report)
                if devices is not None and report.failed is None:
                    await _talk(caller)
                fault = report.failed or await missing(caller, plan.expects, plan.expects_any)
                steps = waterfall.merged(*await _steps(caller, report))
            finally:
                live.close()
                if not plan.keep:
                    await caller.stop()
    finally:
        if devices is not None:
            await devices.close()
    if plan.save is not None:
        wav.write(plan.save, caller.ear.recording(caller.joined_at))
    if as_json:
        print(json.dumps(_as_json(caller, report, steps, fault), ensure_ascii=False, indent=2))
    else:
        _show(console, report, steps)
    return _fail(fault, FAILED) if fault else ANSWERED


async def _talk(caller: Caller) -> None:
    """Wait until the room ends, or Ctrl-C."""
    await caller.wait_for(lambda: caller.lost, "the end of the call", timeout=24 * 3600.0)


async def _steps(caller: Caller, report: CallReport) -> tuple[list[tuple[str, float]], dict[str, float | None]]:
    """The steps of the start that the server saw, and those that the caller saw."""
    assert caller.started is not None
    server = await caller.control.timings(caller.started.session)
    seen = {
        "answer to the request": round((caller.answered_at - caller.asked_at) * 1000, 1),
        "caller joined": report.joined,
        "agent seen, with its track": report.agent,
        "greeting heard": report.greeting,
    }
    return server, seen


def _as_json(caller: Caller, report: CallReport, steps: list[WaterfallStep], fault: str | None) -> dict[str, Any]:
    lines = [
        {"speaker": x.speaker, "text": x.text, "final": x.final, "at": round(x.at - caller.asked_at, 3)}
        for x in caller.transcript.lines
    ]
    return {
        "success": fault is None,
        "error": fault,
        "sessionId": caller.started.session if caller.started else None,
        "transcript": lines,
        "timings": [asdict(step) for step in steps],
        "answersMs": report.answers,
    }


def _show(console: Console, report: CallReport, steps: list[WaterfallStep]) -> None:
    console.print()
    console.print(waterfall.table(steps))
    for number, ms in enumerate(report.answers, 1):
        console.print(f"end of speech → answer heard, turn {number}: {ms:.0f} ms")


def _fail(reason: str, code: int) -> int:
    print(f"greenroom call: {reason}", file=sys.stderr)
    return code
