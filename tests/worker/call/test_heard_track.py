"""Which of the caller's tracks is heard, in pure form and in a room."""

from __future__ import annotations

from typing import Any

import pytest
from livekit import rtc

from tests.worker.room_scene import CALLER, Scene
from tests.worker.rooms import Participant, Publication
from worker.call.heard_track import heard

MICROPHONE = rtc.TrackSource.SOURCE_MICROPHONE
SCREEN = rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
UNKNOWN = rtc.TrackSource.SOURCE_UNKNOWN  # what phones and some SDKs send


def a_track(sid: str, source: int = MICROPHONE, *, muted: bool = False, kind: int = rtc.TrackKind.KIND_AUDIO) -> Any:
    made = Publication(sid, kind=kind, source=source)
    made.muted = muted
    return made


@pytest.mark.parametrize(
    ("tracks", "sid"),
    [
        ([], None),
        ([a_track("screen", SCREEN)], None),
        ([a_track("video", MICROPHONE, kind=rtc.TrackKind.KIND_VIDEO)], None),
        ([a_track("phone", UNKNOWN)], "phone"),
        ([a_track("screen", SCREEN), a_track("mic")], "mic"),
        ([a_track("phone", UNKNOWN), a_track("mic")], "mic"),
        ([a_track("mic", muted=True), a_track("phone", UNKNOWN)], "phone"),
        ([a_track("mic", muted=True), a_track("screen", SCREEN)], "mic"),
        ([a_track("first"), a_track("second")], "first"),
    ],
)
def test_the_microphone_is_heard_first_and_a_screen_never(tracks: list[Any], sid: str | None) -> None:
    found = heard(tracks)
    assert (found.sid if found is not None else None) == sid


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.mark.anyio
async def test_a_shared_screen_with_sound_takes_nobodys_ears(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    voice = scene.speaks(caller, Publication("TR_1"))
    screen = Publication("TR_2", source=SCREEN)
    scene.speaks(caller, screen)
    assert not screen.subscribed
    caller.track_publications.pop("TR_2")
    scene.room.tell("track_unpublished", screen, caller)
    assert scene.ears.heard == [voice]
    assert not scene.ears.stopped


@pytest.mark.anyio
async def test_what_is_left_is_heard_when_the_heard_track_ends(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    other = scene.speaks(caller, Publication("TR_1", source=UNKNOWN))
    microphone = Publication("TR_2")
    voice = scene.speaks(caller, microphone)
    caller.track_publications.pop("TR_2")
    scene.room.tell("track_unpublished", microphone, caller)
    assert scene.ears.heard == [other, voice, other]
    last = caller.track_publications.pop("TR_1")
    scene.room.tell("track_unpublished", last, caller)
    assert scene.ears.stopped


@pytest.mark.anyio
async def test_a_muted_microphone_makes_way_and_comes_back(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    microphone = Publication("TR_1")
    voice = scene.speaks(caller, microphone)
    other = scene.speaks(caller, Publication("TR_2", source=UNKNOWN))
    microphone.muted = True
    scene.room.tell("track_muted", caller, microphone)
    second = caller.track_publications["TR_2"]
    assert second.subscribed
    second.track = other
    scene.room.tell("track_subscribed", other, second, caller)
    microphone.muted = False
    scene.room.tell("track_unmuted", caller, microphone)
    assert scene.ears.heard == [voice, other, voice]
