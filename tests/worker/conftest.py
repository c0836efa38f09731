"""What the tests of calls share: models that are loaded, as in a process that was forked."""

from __future__ import annotations

import pytest

from pipeline import providers


@pytest.fixture(scope="session")
def loaded() -> None:
    """Load the models as the forkserver does: a first sentence would come too late on a busy machine."""
    from tests.worker.calls import AGENTS, SETTINGS  # not for the tests that need no call

    agent = AGENTS["default"].resolve(SETTINGS)
    for choice in agent.stt:
        providers.preload("stt", choice)
    for choice in agent.tts:
        providers.preload("tts", choice, [agent.greeting])
