"""Runs the conversations that authors wrote beside their agents; `greenroom test` hands its arguments over to it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pydantic import ValidationError

from agent_tests import find, junit, report
from agent_tests.cases import Case, Outcome
from agent_tests.errors import TestsUnusable
from agent_tests.jobs import held, usual
from agent_tests.judge import judge_of
from agent_tests.run import Dial
from greenroom.testing.text import TextCall
from pipeline.agents.definition import Agent
from pipeline.agents.files import load_agents
from pipeline.errors import PipelineError
from pipeline.settings import PipelineSettings
from runtime.secret_files import SecretFileError

PASSED, FAILED, UNUSABLE = 0, 1, 2  # exit codes
INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """Run; the exit code: 0 all passed, 1 some did not, 2 they can't be run.

    Args:
        words: The command's arguments.
    """
    given = _parser().parse_args(words)
    began = time.monotonic()
    # What fails is shown with its conversation; the log would only say that something did.
    logging.basicConfig(level=logging.DEBUG if given.log else logging.CRITICAL + 1)
    try:
        jobs = _jobs(given.jobs, speech=given.speech)
        settings = PipelineSettings()
        folder = given.agents or settings.agents
        agents = load_agents(folder)
        cases = find.chosen(find.find(folder, agents), folder / find.FOLDER, only=given.only, agent=given.agent)
        if given.junit is not None and not given.junit.absolute().parent.is_dir():
            raise TestsUnusable(f"--junit: there is no folder {given.junit.absolute().parent}")
        with _dialling(folder, agents, settings, speech=given.speech) as dial:
            outcomes = _held(cases, dial, settings, jobs=jobs)
    except (TestsUnusable, PipelineError, SecretFileError, ValidationError) as error:
        print(f"greenroom test: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    for line in report.summary(outcomes, time.monotonic() - began, _paint()):
        print(line)
    if given.junit is not None:
        given.junit.write_text(junit.document(outcomes), "utf-8")
    return PASSED if all(outcome.result in ("passed", "skipped") for outcome in outcomes) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="greenroom test",
        description="Hold the conversations that were written beside the agents, in the folder tests below theirs: "
        "*.yaml and test_*.py. docs/test-your-agent.md says how to write them.",
        epilog="Exit code 0: all went as expected; 1: some did not; 2: they can't be run.",
    )
    parser.add_argument("agents", type=Path, nargs="?", help="folder of the agents; by default GREENROOM_AGENTS")
    parser.add_argument("--speech", action="store_true", help="hold them aloud, in real rooms of a system of its own")
    parser.add_argument("--only", metavar="TEXT", help="those with this in their name")
    parser.add_argument("--agent", metavar="NAME", help="those of this agent")
    parser.add_argument("--jobs", type=int, metavar="N", help="how many at once, in text; by default one for each CPU")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results to FILE as JUnit's XML, too")
    parser.add_argument("--log", action="store_true", help="show the log, too; it may hold what is said")
    return parser


def _dialling(
    folder: Path, agents: dict[str, Agent], settings: PipelineSettings, *, speech: bool
) -> AbstractContextManager[Dial]:
    if not speech:
        return nullcontext(lambda case: TextCall(agents[case.agent], settings, brain=case.brain, tools=case.tools))
    from agent_tests.speech.system import dialling  # a caller's libraries cost 0.3 s

    return dialling(folder, agents)


def _jobs(given: int | None, *, speech: bool) -> int:
    if given is not None and (given < 1 or (speech and given > 1)):
        raise TestsUnusable("--jobs: it must be 1 or more, and aloud 1: spoken ones are held one after the other")
    return given or (1 if speech else usual())


def _held(cases: Sequence[Case], dial: Dial, settings: PipelineSettings, *, jobs: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    paint = _paint()
    for outcome in held(cases, dial, judge_of(settings), jobs):
        if not outcomes or outcome.case.path != outcomes[-1].case.path:
            print(outcome.case.path)
        outcomes.append(outcome)
        for line in report.lines(outcome, paint):
            print(line, flush=True)
    return outcomes


def _paint() -> report.Paint:
    return report.Paint(sys.stdout.isatty() and "NO_COLOR" not in os.environ)
