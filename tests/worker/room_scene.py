"""A room with the RoomEvents that watch it, and all who hear of its visitors; for the tests of who is heard."""

from __future__ import annotations

from typing import Any

from tests.session.making import a_session
from tests.worker.rooms import FakeRoom, Participant, Publication
from worker.call.room_events import RoomEvents

CALLER = "caller-session_a"


class Events:
    """What the call is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def caller_came(self, identity: str, sid: str) -> None:
        self.told.append(("came", identity, sid))

    def caller_went(self, sid: str, *, by_itself: bool, for_good: bool) -> None:
        self.told.append(("went", sid, "for good" if for_good else by_itself))

    def caller_speaks_on(self, identity: str, track_sid: str) -> None:
        self.told.append(("speaks", identity, track_sid))

    def caller_refused(self) -> None:
        self.told.append(("refused",))

    def nobody_answered(self) -> None:
        self.told.append(("unanswered",))


class Ears:
    """A CallerTrack."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.stopped = False

    def listen(self, track: Any) -> None:
        self.heard.append(track)

    def stop(self) -> None:
        self.stopped = True


class Reader:
    """Who answers typed words."""

    def __init__(self) -> None:
        self.read: list[str] = []

    async def answer(self, text: str) -> None:
        self.read.append(text)


class Scene:
    """A room, its visitors, and all who hear of them."""

    def __init__(self, **session: Any) -> None:
        self.room, self.events, self.ears, self.reader = FakeRoom(), Events(), Ears(), Reader()
        room: Any = self.room
        self.room_events = RoomEvents(room, a_session(**session), self.events)

    def arrive(self) -> None:
        ears: Any = self.ears
        self.room_events.arrive(ears, self.reader)

    def speaks(self, who: Participant, publication: Publication | None = None) -> object:
        """Somebody's microphone is published, and subscribed if anybody asked for it."""
        publication = publication or Publication()
        who.track_publications[publication.sid] = publication
        self.room.tell("track_published", publication, who)
        track = object()
        if publication.subscribed:
            publication.track = track
            self.room.tell("track_subscribed", track, publication, who)
        return track
