"""The command `greenroom`: hands each subcommand its arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

ReadyFile = Annotated[
    Path | None, typer.Option(help="Write url and process ids here, as JSON, when a caller can be served.")
]


def up(ready_file: ReadyFile = None) -> None:
    """Run everything on this machine: Valkey, livekit-server, dispatcher and worker."""
    _replace_by_up(ready_file)


def dev(ready_file: ReadyFile = None) -> None:
    """Like up, but agents are loaded anew when one of their files is saved."""
    os.environ["GREENROOM_RELOAD_AGENTS"] = "1"
    _replace_by_up(ready_file)


def _replace_by_up(ready_file: Path | None) -> NoReturn:
    # In place of this program: typer loads pydantic, 15 MB that a program which runs for weeks need not hold.
    command = [sys.executable, "-m", "cli.up.command", *([] if ready_file is None else [str(ready_file)])]
    os.execv(sys.executable, command)


def demo(
    wav: Annotated[Path | None, typer.Option(help="A recording to speak; otherwise a synthetic caller speaks.")] = None,
) -> None:
    """Run everything, place one call, stop; exit code 0 only if the agent understood and answered."""
    from cli.demo import demo as run  # each command pays for its own imports only

    raise typer.Exit(run(wav))


def keys(context: typer.Context) -> None:
    """Make, list and revoke API keys: `greenroom keys new caller NAME`, `keys list`, `keys revoke ID`."""
    from cli.keys import keys as run

    raise typer.Exit(run(context.args))


def test(context: typer.Context) -> None:
    """Hold the conversations that were written beside the agents; exit code 0 only if all went well."""
    # In place of this program: what runs conversations loads all of the pipeline, which this program may not.
    os.execv(sys.executable, [sys.executable, "-m", "agent_tests", *context.args])


def main() -> None:
    """Entry point of the command."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.command()(up)
    app.command()(dev)
    app.command()(demo)
    # Their arguments are read by the commands that they run; `--help` too.
    for handed_on in (keys, test):
        settings = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command(context_settings=settings, add_help_option=False)(handed_on)
    # These live long or start others: they need none of a caller's or an operator's libraries.
    if sys.argv[1:2] not in (["up"], ["dev"], ["demo"], ["keys"], ["test"]):
        from cli.operate import COMMANDS

        for command in COMMANDS:
            app.command(rich_help_panel="For operators")(command)
    if sys.argv[1:2] in ([], ["--help"], ["call"]):
        from cli.call import call

        app.command()(call)
    app()


if __name__ == "__main__":
    main()
