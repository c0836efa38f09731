"""Fixtures for the tests of callers: one livekit-server, and a stand-in that answers; tests/conftest.py loads them."""

import pytest

from tests.support.standin import livekit, standing_in


@pytest.fixture(scope="session")
def livekit_url(tmp_path_factory):
    with livekit(tmp_path_factory.mktemp("livekit")) as url:
        yield url


@pytest.fixture
async def standin(livekit_url):
    async with standing_in(livekit_url) as running:
        yield running
