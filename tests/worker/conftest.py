"""What the tests of calls share: models that are loaded, as in a process that was forked."""

from __future__ import annotations

import pytest

from pipeline import providers


@pytest.fixture(scope="session")
def loaded() -> None:
    """Load the models as the forkserver does: a first sentence would come too late on a busy machine."""
    from tests.worker.calls import AGENTS, SETTINGS  # not for the tests that need no call

    agent = AGENTS["default"].resolve(SETTINGS)
    providers.preload("stt", agent.stt)
    providers.preload("tts", agent.tts, [agent.greeting])
