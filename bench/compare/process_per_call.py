"""The design that is compared with: a fresh Python process for each call, which loads everything and joins the room.

It runs the product's own pipeline on the product's own track; what differs is only that nothing is warm. Started as
`python -m bench.compare.process_per_call URL SESSION` with the right to join in BENCH_TOKEN; ends when the room does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, cast


async def run(url: str, token: str, session: str) -> None:
    """Load, connect, publish, greet, talk until the room is closed."""
    from livekit import rtc

    from pipeline import providers
    from pipeline.agents.files import load_agents
    from pipeline.settings import PipelineSettings
    from pipeline.talk.audio_ends import IN_RATE, OUT_RATE
    from pipeline.talk.build import make_analyzers
    from pipeline.talk.conversation import Conversation
    from pipeline.talk.turn_observer import Listener
    from runtime.background import Background
    from session.fence import caller_identity
    from worker.call.audio import AgentTrack, CallerTrack

    settings = PipelineSettings()
    agent = load_agents(settings.agents)["default"].resolve(settings)
    for kind in providers.KINDS:
        for choice in getattr(agent, kind):
            providers.preload(kind, choice, [agent.greeting])
    room, over, present = rtc.Room(), asyncio.Event(), asyncio.Event()
    track = AgentTrack(OUT_RATE)
    listener = cast(Listener, Unheard())
    conversation = Conversation(
        agent, settings, make_analyzers(settings), sink=track, listener=listener, session_id=session
    )
    caller_track = CallerTrack(IN_RATE, conversation.microphone.hear)

    def subscribed(remote: rtc.Track, _: object, who: rtc.RemoteParticipant) -> None:
        if who.identity == caller_identity(session):
            caller_track.listen(remote)
            present.set()

    room.on("track_subscribed", subscribed)
    room.on("disconnected", lambda _: over.set())
    await room.connect(url, token)
    publication = await track.publish(room)
    talking = Background("process per call").start(conversation.run(), "conversation")
    await conversation.started()
    await present.wait()
    await publication.wait_for_subscription()
    await conversation.greet()
    await over.wait()
    await conversation.stop()
    await talking


class Unheard:
    """A listener that tells nobody."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], os.environ["BENCH_TOKEN"], sys.argv[2]))
    os._exit(0)  # the room is gone; taking libraries down properly measures nothing
