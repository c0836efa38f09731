"""A caller in mid-conversation, and what it notices of a fault; knows no fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
from livekit import api, rtc

from bench.harness.idle import job_processes
from bench.harness.processes import in_a_call
from bench.harness.system import System, until
from client.caller import Caller
from client.wav import Sound
from tests.support.asking import until_answer

Speech = Callable[[str], Sound]
BACK_SECONDS = 30.0  # the longest that anything here is waited for, unless said otherwise


def livekit_api(system: System) -> api.LiveKitAPI:
    """LiveKit's own API, as an operator uses it."""
    url = system.livekit_url.replace("ws", "http", 1)
    return api.LiveKitAPI(url, system.livekit_api_key, system.livekit_api_secret)


class Talk:
    """One caller's side of a call.

    Args:
        system: where it calls.
        caller: in no room yet.
        speech: words as sound.
    """

    def __init__(self, system: System, caller: Caller, speech: Speech) -> None:
        self.system, self.caller, self.speech = system, caller, speech
        self._seen: set[int] = set()

    @property
    def session(self) -> str:
        """The session's id."""
        assert self.caller.started is not None
        return self.caller.started.session

    async def begin(self, name: str = "Alice", **how: Any) -> None:
        """Call, be greeted, tell a name, and hear the answer to its end."""
        self._seen = {process.pid for process in self._busy()}
        await self.call_and_tell(name, **how)
        self.job = self.newest_job()

    async def call_and_tell(self, name: str, **how: Any) -> None:
        """As `begin`, at whatever worker."""
        await self.caller.start(**how)
        await self.caller.join()
        await self.caller.wait_for_sound(self.caller.asked_at, timeout=BACK_SECONDS)
        await self.caller.wait_for_quiet(0.8, timeout=BACK_SECONDS)
        await self.tell(f"My name is {name}.", name)

    def newest_job(self) -> psutil.Process:
        """The process that has the call now, other than those that had it before; one caller at a time, please."""
        found: psutil.Process = until(
            lambda: next((p for p in self._busy() if p.pid not in self._seen), None), 20, "the call's process"
        )
        self._seen.add(found.pid)
        return found

    async def tell(self, words: str, expected: str) -> None:
        """Say something, and hear an answer with `expected` in it, once more than before, to its end."""

        def said() -> int:
            return self.caller.transcript.said("agent").casefold().count(expected.casefold())

        before = said()
        spoken = await self.caller.speak(self.speech(words))
        await self.caller.wait_for(lambda: said() > before, f"an answer with “{expected}”", BACK_SECONDS)
        await self.caller.wait_for_sound(spoken.began, timeout=BACK_SECONDS)
        await self.caller.wait_for_quiet(0.8, timeout=BACK_SECONDS)

    async def recalls(self, name: str = "Alice") -> None:
        """Ask for the name; the agent that is there knows it."""
        await self.tell("What is my name?", f"name is {name}")

    async def agent_back(self, since: float, attempt: int, *, timeout: float = BACK_SECONDS) -> float:
        """Seconds from `since` until the agent of this attempt was seen with its track."""
        identity = f"agent-{self.session}-{attempt}"

        def there() -> bool:
            return any(each.identity == identity and each.track_publications for each in self.caller.agents())

        await self.caller.wait_for(there, f"the agent of attempt {attempt}", timeout)
        return time.monotonic() - since

    async def heard(self, since: float, *, last: float = 0.05, timeout: float = BACK_SECONDS) -> float:
        """Seconds from `since` until the agent's first sound, that of the first `last` seconds left out."""
        return await self.caller.wait_for_sound(since + last, timeout=timeout) - since

    async def settled(self) -> None:
        """The agent has finished what it was saying."""
        await self.caller.wait_for_quiet(0.8, timeout=BACK_SECONDS)

    def agents(self) -> list[str]:
        """Identities of the agents in the room, as the caller sees them."""
        return [each.identity for each in self.caller.agents()]

    async def record(self, http: httpx.AsyncClient) -> dict[str, Any]:
        """What the API says of the session; the store may be slow for a moment."""
        return await until_answer(http, f"/api/session/{self.session}", lambda each: "attempt" in each, 10)

    async def written(self, http: httpx.AsyncClient) -> list[dict[str, Any]]:
        """The transcript as the API has it."""
        answer = await http.get(f"/api/session/{self.session}/transcript?limit=1000")
        items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return items

    async def until_status(self, http: httpx.AsyncClient, status: str, seconds: float) -> dict[str, Any]:
        """The session's record once it is in this state."""
        return await until_answer(
            http, f"/api/session/{self.session}", lambda each: each.get("status") == status, seconds
        )

    def _busy(self) -> list[psutil.Process]:
        return [process for process in job_processes(self.system) if in_a_call(process)]


async def is_told(caller: Caller, state: str, timeout: float = BACK_SECONDS) -> None:
    """The page is told how its session stands."""

    def shown() -> bool:
        me: rtc.LocalParticipant = caller.room.local_participant
        return me.attributes.get("greenroom.state") == state

    await caller.wait_for(shown, f"greenroom.state {state}", timeout)


async def counted(http: httpx.AsyncClient, series: str) -> float:
    """What the dispatcher's metrics say of this series, its labels included and `greenroom_` left out."""
    lines = (await http.get("/metrics")).raise_for_status().text.splitlines()
    return float(next(line for line in lines if line.startswith(f"greenroom_{series} ")).rpartition(" ")[2])


async def one_agent(system: System, session: str) -> list[str]:
    """The identities of the agents that livekit-server lists for the session's room."""
    async with livekit_api(system) as livekit:
        answer = await livekit.room.list_participants(api.ListParticipantsRequest(room=session))
    return [each.identity for each in answer.participants if each.identity.startswith("agent-")]
