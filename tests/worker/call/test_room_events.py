"""Who counts as the caller, and what of it reaches the call; everybody else is ignored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from livekit import rtc
from livekit.agents.types import TOPIC_CHAT
from livekit.rtc._proto.track_pb2 import AudioTrackFeature

from session.record import EndReason
from tests.pipeline.stage import until
from tests.worker.room_scene import CALLER, Scene
from tests.worker.rooms import Bytes, Letter, Participant, Publication
from worker.call.intake import BURST, MAX_TEXT_BYTES
from worker.call.pre_connect import MAX_BYTES, TOPIC, WAIT_SECONDS
from worker.call.room_events import ASK_AGAIN_SECONDS, MAX_TYPED

pytestmark = pytest.mark.anyio

BUFFERED = (AudioTrackFeature.TF_PRECONNECT_BUFFER,)


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_the_caller_is_told_of_and_heard(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    track = scene.speaks(caller)
    assert scene.events.told == [("came", CALLER, "PA_1"), ("speaks", CALLER, "TR_1")]
    assert scene.ears.heard == [track]
    assert scene.room_events.present.is_set()


@pytest.mark.parametrize("identity", ["caller-session_b", "agent-session_a-0", "recorder", "CALLER-session_a"])
async def test_nobody_else_is_told_of_or_heard(scene: Scene, identity: str) -> None:
    scene.arrive()
    other = Participant(identity)
    scene.room.join(other)
    publication = Publication()
    scene.speaks(other, publication)
    scene.room.tell("track_subscribed", object(), publication, other)
    scene.room.leave(other, rtc.DisconnectReason.CLIENT_INITIATED)
    assert scene.events.told == []
    assert not publication.subscribed
    assert scene.ears.heard == []
    assert not scene.room_events.present.is_set()


async def test_a_caller_who_was_there_first_is_taken_up_on_arrival(scene: Scene) -> None:
    caller = Participant(CALLER)
    caller.track_publications["TR_1"] = Publication()
    scene.room.remote_participants[CALLER] = caller
    scene.arrive()
    assert scene.events.told == [("came", CALLER, "PA_1")]
    assert caller.track_publications["TR_1"].subscribed


async def test_a_caller_who_came_while_the_pipeline_was_built_is_told_of_once_and_heard(scene: Scene) -> None:
    caller = Participant(CALLER)
    scene.room.join(caller)
    track = scene.speaks(caller)
    assert scene.ears.heard == []
    scene.arrive()
    assert scene.events.told == [("came", CALLER, "PA_1"), ("speaks", CALLER, "TR_1")]
    assert scene.ears.heard == [track]


async def test_only_sound_is_subscribed_to(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    camera = Publication("TR_2", rtc.TrackKind.KIND_VIDEO)
    scene.speaks(caller, camera)
    assert not camera.subscribed
    assert scene.ears.heard == []


async def test_a_second_join_is_told_of_under_its_own_sid(scene: Scene) -> None:
    scene.arrive()
    first, second = Participant(CALLER, "PA_1"), Participant(CALLER, "PA_2")
    scene.room.join(first)
    scene.room.join(second)
    scene.room.leave(first, rtc.DisconnectReason.DUPLICATE_IDENTITY)
    assert scene.events.told == [("came", CALLER, "PA_1"), ("came", CALLER, "PA_2"), ("went", "PA_1", False)]


@pytest.mark.parametrize(
    ("reason", "by_itself"),
    [
        (rtc.DisconnectReason.CLIENT_INITIATED, True),
        (rtc.DisconnectReason.DUPLICATE_IDENTITY, False),
        (rtc.DisconnectReason.CONNECTION_TIMEOUT, False),
        (rtc.DisconnectReason.UNKNOWN_REASON, False),
    ],
)
async def test_a_hang_up_is_told_from_a_drop(scene: Scene, reason: int, by_itself: bool) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    scene.room.leave(caller, reason)
    assert scene.events.told[-1] == ("went", "PA_1", by_itself)


async def test_the_first_person_in_an_adopted_room_is_its_caller() -> None:
    scene = Scene(adopted=True)
    scene.arrive()
    scene.room.join(Participant("agent-other", "PA_0", rtc.ParticipantKind.PARTICIPANT_KIND_AGENT))
    scene.room.join(Participant("+43123", "PA_1", rtc.ParticipantKind.PARTICIPANT_KIND_SIP))
    scene.room.join(Participant("ada", "PA_2"))
    assert scene.events.told == [("came", "+43123", "PA_1")]


async def test_the_callers_typed_words_are_answered(scene: Scene) -> None:
    scene.arrive()
    scene.room.streams[TOPIC_CHAT](Letter("  Hello? "), CALLER)
    await until(lambda: scene.reader.read, "they are answered")
    assert scene.reader.read == ["Hello?"]


async def test_typed_words_of_others_and_empty_ones_are_not(scene: Scene) -> None:
    scene.arrive()
    scene.room.streams[TOPIC_CHAT](Letter("Hello?"), "caller-session_b")
    scene.room.streams[TOPIC_CHAT](Letter("   "), CALLER)
    scene.room.streams[TOPIC_CHAT](Letter("x" * (MAX_TYPED + 1)), CALLER)
    await until(lambda: scene.reader.read, "the last is answered")
    assert [len(text) for text in scene.reader.read] == [MAX_TYPED]


async def test_a_text_that_says_itself_that_it_is_too_long_is_not_read(scene: Scene) -> None:
    scene.arrive()
    letter = Letter("x", size=MAX_TEXT_BYTES + 1)
    scene.room.streams[TOPIC_CHAT](letter, CALLER)
    assert (letter.closed, letter.taken) == (True, 0)
    assert scene.events.told == [("refused",)]


async def test_texts_of_others_are_closed_and_not_kept(scene: Scene) -> None:
    scene.arrive()
    letter = Letter("x")
    scene.room.streams[TOPIC_CHAT](letter, "caller-session_b")
    assert (letter.closed, letter.taken) == (True, 0)


async def test_of_a_flood_a_burst_is_answered_and_the_rest_closed(scene: Scene) -> None:
    scene.arrive()
    letters = [Letter(f"Number {n}") for n in range(2000)]
    for letter in letters:
        scene.room.streams[TOPIC_CHAT](letter, CALLER)
    await until(lambda: all(letter.closed for letter in letters), "all are closed")
    assert scene.reader.read == [f"Number {n}" for n in range(BURST)]


async def test_only_one_buffer_of_early_words_is_read(scene: Scene) -> None:
    scene.arrive()
    first, second = a_buffer(), a_buffer()
    scene.room.streams[TOPIC](first, CALLER)
    scene.room.streams[TOPIC](second, CALLER)
    assert (second.closed, second.taken) == (True, 0)
    await until(lambda: first.closed, "the first is read")


async def test_early_words_that_say_themselves_that_they_are_too_long_are_not_read(scene: Scene) -> None:
    scene.arrive()
    stream = Bytes(b"\1\0", "audio/pcm", declared=MAX_BYTES + 1, sampleRate="16000")
    scene.room.streams[TOPIC](stream, CALLER)
    assert (stream.closed, stream.taken) == (True, 0)


class BrokenOff(Bytes):
    """A byte stream whose sender aborts it."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.data
        raise rtc.StreamError("aborted")


async def test_early_words_that_break_off_are_none_and_no_failure(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    scene.speaks(caller, Publication(features=BUFFERED))
    before = time.monotonic()
    scene.room.streams[TOPIC](BrokenOff(b"\1\0", "audio/pcm", sampleRate="16000"), CALLER)
    assert await scene.room_events.early_words() == b""
    assert time.monotonic() - before < WAIT_SECONDS / 2
    assert "task_failed" not in caplog.text


def a_buffer(level: bytes = b"\1\0") -> Bytes:
    return Bytes(level * 16_000, "audio/pcm", sampleRate="16000", channels="1")


async def test_what_was_said_before_the_agent_came_is_had_where_the_track_says_so(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    scene.speaks(caller, Publication(features=BUFFERED))
    scene.room.streams[TOPIC](a_buffer(), CALLER)
    early = await scene.room_events.early_words()
    assert len(early) == pytest.approx(32_000, rel=0.02)


async def test_what_others_send_as_early_words_is_not_taken(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    scene.speaks(caller, Publication(features=BUFFERED))
    scene.room.streams[TOPIC](a_buffer(), "caller-session_b")
    assert await scene.room_events.early_words() == b""


async def test_a_track_without_a_buffer_is_not_waited_for(scene: Scene) -> None:
    before = time.monotonic()
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    scene.speaks(caller)
    assert await scene.room_events.early_words() == b""
    assert time.monotonic() - before < WAIT_SECONDS / 2


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        (rtc.DisconnectReason.ROOM_DELETED, EndReason.STOPPED),
        (rtc.DisconnectReason.ROOM_CLOSED, EndReason.NOT_JOINED),
        (rtc.DisconnectReason.PARTICIPANT_REMOVED, None),
        (rtc.DisconnectReason.SERVER_SHUTDOWN, None),
        (rtc.DisconnectReason.UNKNOWN_REASON, None),
    ],
)
async def test_a_room_that_is_over_is_told_from_one_that_the_agent_fell_out_of(
    scene: Scene, reason: int, end: EndReason | None
) -> None:
    scene.room.tell("disconnected", reason)
    scene.room.tell("disconnected", rtc.DisconnectReason.CLIENT_INITIATED)
    assert await scene.room_events.room_closed() is end


async def test_a_room_that_was_closed_because_the_caller_had_left_says_so(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER)
    scene.room.join(caller)
    scene.room.leave(caller, rtc.DisconnectReason.CLIENT_INITIATED)
    scene.room.tell("disconnected", rtc.DisconnectReason.ROOM_CLOSED)
    assert await scene.room_events.room_closed() is EndReason.CALLER_LEFT


async def test_news_of_the_rooms_end_may_come_a_little_later(scene: Scene) -> None:
    asked = asyncio.create_task(scene.room_events.room_closed())
    await asyncio.sleep(0)
    scene.room.tell("disconnected", rtc.DisconnectReason.ROOM_DELETED)
    assert await asked is EndReason.STOPPED


async def test_a_room_that_goes_on_was_not_closed(scene: Scene) -> None:
    assert await scene.room_events.room_closed() is None


async def test_after_its_end_nobody_is_heard(scene: Scene) -> None:
    scene.room_events.close()
    scene.arrive()
    scene.room_events.close()
    assert scene.ears.stopped


async def test_while_we_are_cut_off_nobody_has_left(scene: Scene) -> None:
    scene.arrive()
    scene.room.join(Participant(CALLER, "PA_1"))
    scene.room.lose_connection()
    assert scene.events.told == [("came", CALLER, "PA_1")]


async def test_who_is_there_once_we_are_back_has_come_and_is_heard(scene: Scene) -> None:
    scene.arrive()
    scene.room.join(Participant(CALLER, "PA_1"))
    scene.room.lose_connection()
    caller, publication = Participant(CALLER, "PA_2"), Publication("TR_2")
    caller.track_publications["TR_2"] = publication
    scene.room.regain_connection(caller)
    assert scene.events.told[1:] == [("came", CALLER, "PA_2")]
    assert publication.subscribed


async def test_who_is_not_there_once_we_are_back_is_away_and_may_come(scene: Scene) -> None:
    scene.arrive()
    scene.room.join(Participant(CALLER, "PA_1"))
    scene.room.lose_connection()
    scene.room.regain_connection()
    assert scene.events.told[1:] == [("went", "PA_1", False)]
    scene.room.join(Participant(CALLER, "PA_2"))
    assert scene.events.told[2:] == [("came", CALLER, "PA_2")]


async def test_after_a_moments_break_nothing_has_changed(scene: Scene) -> None:
    scene.arrive()
    caller = Participant(CALLER, "PA_1")
    scene.room.join(caller)
    scene.room.regain_connection(caller)
    assert scene.events.told == [("came", CALLER, "PA_1")]


async def test_the_callers_sound_is_asked_for_until_it_comes(scene: Scene) -> None:
    caller, publication = Participant(CALLER), Publication()
    caller.track_publications["TR_1"] = publication
    scene.room.join(caller)
    await until(lambda: publication.asked >= 2, "asked again", seconds=4 * ASK_AGAIN_SECONDS)
    publication.track = object()
    asked = publication.asked
    await asyncio.sleep(2.5 * ASK_AGAIN_SECONDS)
    assert publication.asked == asked


async def test_sound_of_somebody_who_has_gone_is_not_asked_for(scene: Scene) -> None:
    caller, publication = Participant(CALLER), Publication()
    caller.track_publications["TR_1"] = publication
    scene.room.join(caller)
    scene.room.join(Participant(CALLER, "PA_2"))
    await asyncio.sleep(2.5 * ASK_AGAIN_SECONDS)
    assert publication.asked == 1
