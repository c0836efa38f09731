"""Runs all of Greenroom for conversations that are held aloud, and dials them; the command uses it for --speech."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from agent_tests.cases import Case
from agent_tests.errors import TestsUnusable
from agent_tests.run import Dial, Unsuitable
from agent_tests.speech.call import SpeechCall
from agent_tests.speech.wire import Wire
from cli.up.started import NotStarted, started
from client.wav import Sound
from greenroom.testing.caller import Line
from pipeline.agents.definition import Agent

# A system of its own, whatever .env says: a worker with answers for its tools must get no real caller.
OWN = {
    **dict.fromkeys(("REDIS_URL", "LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"), ""),
    **dict.fromkeys(("REDIS_URL_FILE", "LIVEKIT_API_SECRET_FILE"), ""),
    "GREENROOM_HOST": "127.0.0.1",
    "GREENROOM_RATE_LIMIT": "off",
}


@contextmanager
def dialling(agents_folder: Path, agents: Mapping[str, Agent]) -> Iterator[Dial]:
    """Start the system, and stop it at the end.

    Args:
        agents_folder: Where the agents are.
        agents: Those in it, by name.

    Yields:
        What dials a conversation.

    Raises:
        TestsUnusable: The system can't be started.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-test-") as folder:
        wire = Wire(Path(folder))
        home = wire.lay(agents_folder, sorted(agents))
        told = {**OWN, "GREENROOM_AGENTS": str(home), "GREENROOM_STATE_DIR": str(Path(folder, "state"))}
        try:
            with started("greenroom test", told) as url:

                def dial(case: Case) -> AbstractAsyncContextManager[Line]:
                    check_suits(case)
                    wire.answer(case.tools)
                    return SpeechCall(url, case.agent, wire, spoken)

                yield dial
        except NotStarted as error:
            raise TestsUnusable(str(error)) from error


def check_suits(case: Case) -> None:
    """Check that a conversation can be held with an agent that runs in another process.

    Args:
        case: The conversation.

    Raises:
        Unsuitable: It can't.
    """
    if case.brain is not None:
        raise Unsuitable("in text only: its brain is a script")
    try:
        json.dumps(dict(case.tools))
    except (TypeError, ValueError):
        raise Unsuitable("in text only: a function of the test's answers for a tool") from None


def spoken(words: str) -> Sound:
    """Words, spoken by the bundled voice.

    Args:
        words: The caller's.
    """
    from pipeline.local.tts import synthesise  # loads a model

    samples, rate = synthesise(words)
    return Sound(samples, rate)
