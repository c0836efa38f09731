"""Asks livekit-server who is in its rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from livekit import api

from bench.harness.system import System

AGENT = 4  # livekit.ParticipantInfo.Kind


class NoAnswer(Exception):
    """The server didn't say who is there."""


class RoomViewer:
    """The rooms of a server; made by `open_rooms`."""

    def __init__(self, server: api.LiveKitAPI) -> None:
        self._rooms = server.room

    async def agents(self, room: str) -> list[str]:
        """Identities of the agents that publish in the room; nobody is in one that isn't there. Raises NoAnswer."""
        with _answered():
            try:
                answer = await self._rooms.list_participants(api.ListParticipantsRequest(room=room))
            except api.TwirpError as error:
                if error.code != api.TwirpErrorCode.NOT_FOUND:
                    raise
                return []
        return [who.identity for who in answer.participants if who.kind == AGENT and who.tracks]

    async def count(self) -> int:
        """How many rooms there are. Raises NoAnswer."""
        with _answered():
            return len((await self._rooms.list_rooms(api.ListRoomsRequest())).rooms)


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, api.TwirpError) as error:
        raise NoAnswer(f"livekit-server gives no answer: {error or type(error).__name__}") from error


@asynccontextmanager
async def open_rooms(system: System) -> AsyncIterator[RoomViewer]:
    """The rooms of a system's server."""
    async with api.LiveKitAPI(system.livekit_url, system.livekit_api_key, system.livekit_api_secret) as server:
        yield RoomViewer(server)
