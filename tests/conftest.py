"""What every test shares: the asyncio backend of anyio's plugin, and nothing of the product."""

import pytest

pytest_plugins = ["tests.support.calling", "tests.support.livekit", "tests.support.standing_in", "tests.support.valkey"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
