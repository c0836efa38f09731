"""A caller in a process of its own: begins a conversation, says so, waits for a line, goes on; knows no fault."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from client.caller import Caller
from client.wav import Sound
from pipeline.local import tts as hibari


def _speech(text: str) -> Sound:
    pcm, rate = hibari.synthesise(text)
    return Sound(pcm, rate)


def _tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def main(url: str) -> None:
    """Call the dispatcher at `url`."""
    async with Caller(url) as caller:
        started = await caller.start()
        await caller.join()
        await caller.wait_for_sound(caller.asked_at, timeout=30)
        await caller.wait_for_quiet(0.8, timeout=30)
        await caller.speak(_speech("My name is Alice."))
        await caller.wait_for_text("agent", "Alice", timeout=30)
        await caller.wait_for_quiet(1.2, timeout=30)
        _tell(session=started.session)
        await asyncio.to_thread(sys.stdin.readline)
        question = _speech("What is my name?")
        for _ in range(5):  # a connection that comes back takes a while; a person would ask again, too
            await caller.speak(question)
            try:
                await caller.wait_for_text("agent", "name is Alice", timeout=6)
                break
            except Exception as error:  # noqa: BLE001 - whatever it was, the drill sees what was heard
                print(type(error).__name__, error, file=sys.stderr)
        _tell(heard=caller.transcript.said("agent"))
        await caller.wait_for(lambda: caller.lost, "the end of the room", 30)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
