"""The commands of operators: what runs, how it is, and what they order; each asks the API of a running dispatcher."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import waterfall
from cli.up.settings import SettingError, UpSettings, environment
from cli.waterfall import WaterfallStep
from client.api import ControlError
from client.operator import Operator, is_refusal_of_rights

DONE, FAILED, USAGE = 0, 1, 2  # exit codes
NEEDS_KEY = "this needs an operator's key: set GREENROOM_OPERATOR_KEY (`greenroom keys new operator NAME` makes one)"

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer instead.")]
WorkerId = Annotated[str, typer.Argument(help="The worker's name, as `greenroom workers` shows it.")]
Answer = Mapping[str, Any]


def status(as_json: AsJson = False) -> None:
    """Show how the system is: health, sessions, pool; exit code 1 when store or LiveKit can't be reached."""
    health = _asked(lambda operator: operator.health())
    _show(health, as_json, _health_table, health.get("warnings", ()))
    raise typer.Exit(FAILED if health["status"] == "unhealthy" else DONE)


def pool(
    size: Annotated[int | None, typer.Argument(help="Keep so many processes warm from now on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the warm processes by worker, or resize the pool."""
    if size is not None:
        resized = _asked(lambda operator: operator.resize(size))
        _show(resized, as_json, None, [resized["message"]])
        return
    answer = _asked(lambda operator: operator.pool())
    _show(answer, as_json, _pool_table)


def workers(as_json: AsJson = False) -> None:
    """List the workers."""
    _show(_asked(lambda operator: operator.workers()), as_json, _worker_table)


def drain(worker: WorkerId, as_json: AsJson = False) -> None:
    """Let a worker finish its calls and end."""
    _order(worker, "drain", as_json=as_json)


def cordon(worker: WorkerId, as_json: AsJson = False) -> None:
    """Let a worker take no new calls; those it has go on."""
    _order(worker, "cordon", as_json=as_json)


def uncordon(worker: WorkerId, as_json: AsJson = False) -> None:
    """Let a cordoned worker take calls again."""
    _order(worker, "uncordon", as_json=as_json)


def sessions(
    state: Annotated[str | None, typer.Option("--status", help="Only in this state; by default all live ones.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only of this agent.")] = None,
    worker: Annotated[str | None, typer.Option(help="Only at this worker.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List sessions, newest first."""
    wanted = {"status": state, "userId": user, "agent": agent, "worker": worker, "limit": limit}
    answer = _asked(lambda operator: operator.sessions(**wanted))
    more = ["There are more: ask with --limit, or for fewer."] if answer.get("cursor") else []
    _show(answer, as_json, _session_table, more)


def session(
    session_id: Annotated[str, typer.Argument(help="The session's id.")],
    transcript: Annotated[bool, typer.Option("--transcript", help="Show what was said, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show all of a session: record, start, log, and what was said if asked for."""
    found = _asked(lambda operator: operator.everything_of(session_id, transcript=transcript))
    if as_json:
        print(json.dumps(found))
        return
    console = Console(highlight=False)
    console.print(_facts_table(found["session"]))
    steps = [WaterfallStep(str(step["name"]), float(step["ms"]), "server") for step in found["timings"]["steps"]]
    console.print(waterfall.table(steps))
    for line in found["logs"]["logs"]:
        facts = " ".join(f"{name}={value}" for name, value in line.items() if name not in ("at", "level", "event"))
        console.print(f"{_clock(line['at'])} {line['level']:7} {line['event']} [dim]{escape(facts)}[/dim]")
    for said in found.get("transcript", {}).get("items", ()):
        console.print(f"{_clock(said['at'])} {said['speaker']:7} {said['text']}", markup=False)


def alert(
    test: Annotated[bool, typer.Option("--test", help="Post an alert that says it is a test.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try whether alerts arrive where WEBHOOK_URL says."""
    if not test:
        raise typer.Exit(_fail("alerts are posted by the dispatcher; try them with `greenroom alert --test`", USAGE))
    answer = _asked(lambda operator: operator.test_alert())
    _show(answer, as_json, None, [answer["message"]])


COMMANDS = (status, pool, workers, drain, cordon, uncordon, sessions, session, alert)


def _order(worker: str, order: str, *, as_json: bool) -> None:
    answer = _asked(lambda operator: operator.order(worker, order))
    _show(answer, as_json, None, [answer["message"]])


def _asked(ask: Callable[[Operator], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """What the dispatcher answers; says what is wrong and exits where it does not."""
    try:
        settings = UpSettings.read(environment())
        return asyncio.run(_once(settings.remote_url or settings.url, settings.operator_key or settings.api_key, ask))
    except SettingError as error:
        raise typer.Exit(_fail(str(error), USAGE)) from error
    except ControlError as error:
        reason = f"{error}; {NEEDS_KEY}" if is_refusal_of_rights(error) else str(error)
        raise typer.Exit(_fail(reason, FAILED)) from error


async def _once(url: str, key: str | None, ask: Callable[[Operator], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    operator = Operator(url, key=key)
    try:
        return await ask(operator)
    finally:
        await operator.close()


def _fail(reason: str, code: int) -> int:
    print(f"greenroom: {reason}", file=sys.stderr)
    return code


def _show(
    answer: Answer, as_json: bool, table: Callable[[Answer], Table] | None, sentences: Sequence[str] = ()
) -> None:
    if as_json:
        print(json.dumps(answer))
        return
    console = Console(highlight=False)
    if table is not None:
        console.print(table(answer))
    for sentence in sentences:
        console.print(sentence, markup=False)


def _health_table(answer: Answer) -> Table:
    counts, seats = answer["sessions"], answer["capacity"]
    average = answer["stats"]["avgStartupTime"]
    return _pairs(
        status=answer["status"] + (f": {answer['error']}" if answer.get("error") else ""),
        calls=f"{counts['ready']} ready, {counts['starting']} starting, {counts['recovering']} recovering",
        seats=f"{seats['current']} of {seats['max']} taken",
        warm=f"{counts['pool']} processes",
        start="no call so far" if average is None else f"{average:.2f} s on average",
    )


def _pool_table(answer: Answer) -> Table:
    whole = {"id": "all", **{name: answer[name] for name in ("target", "idle", "starting", "active")}}
    return _rows([*answer["workers"], whole], "id", "target", "idle", "starting", "active")


def _worker_table(answer: Answer) -> Table:
    return _rows(answer["workers"], "id", "status", "slots", "active", "idle", "target", "host", "release")


def _session_table(answer: Answer) -> Table:
    now = time.time()
    rows = [{**each, "age": f"{now - each['createdAt']:.0f} s"} for each in answer["sessions"]]
    return _rows(rows, "sessionId", "status", "agent", "userId", "worker", "attempt", "age")


def _facts_table(answer: Answer) -> Table:
    return _pairs(**{name: value for name, value in answer.items() if name != "success" and value is not None})


def _pairs(**facts: object) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for name, value in facts.items():
        table.add_row(f"[dim]{name}[/dim]", escape(str(value)))
    return table


def _rows(rows: Sequence[Answer], *columns: str) -> Table:
    table = Table(box=None, padding=(0, 1))
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*("" if row[column] is None else escape(str(row[column])) for column in columns))
    return table


def _clock(at: float) -> str:
    """The time of day here, of a moment in Unix seconds."""
    return time.strftime("%H:%M:%S", time.localtime(at))
