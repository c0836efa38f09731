"""What a caller enters with a phone's keys: in pure form, and in a room."""

from __future__ import annotations

import time

import pytest
from livekit import rtc

from tests.pipeline.stage import until
from tests.worker.call.test_phone import a_phone
from tests.worker.calls import a_call
from tests.worker.room_scene import Scene
from tests.worker.rooms import Participant
from worker.call.keypad import MOST_KEYS, PAUSE_SECONDS, Keypad

EVERY = 0.5  # seconds between two keys


def entered(keys: str, *, every: float = EVERY) -> list[str]:
    """What is complete, one thing after the other, of keys that are pressed so many seconds apart."""
    keypad, said = Keypad(), list[str]()
    for number, key in enumerate(keys):
        said += [keypad.paused(number * every), keypad.press(key, number * every)]
    return [*filter(None, [*said, keypad.paused(len(keys) * every + PAUSE_SECONDS)])]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", []),
        ("1234", ["1234"]),
        ("1234#", ["1234"]),
        ("12#34", ["12", "34"]),
        ("#", ["#"]),
        ("*9", ["*9"]),
        ("1x2", ["12"]),
        ("1" * (MOST_KEYS + 2), ["1" * MOST_KEYS, "11"]),
    ],
)
def test_keys_are_one_entry_until_a_pause_or_the_hash(keys: str, said: list[str]) -> None:
    assert entered(keys) == said


def test_a_pause_ends_an_entry() -> None:
    assert entered("12", every=PAUSE_SECONDS) == ["1", "2"]


def press(scene: Scene, who: Participant | None, keys: str) -> None:
    for key in keys:
        scene.room.tell("sip_dtmf_received", rtc.SipDTMF(code=0, digit=key, participant=who))  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_the_callers_keys_alone_are_answered_as_what_it_typed() -> None:
    scene = Scene(adopted=True)
    scene.arrive()
    phone, other = a_phone("active"), Participant("sip_456", "PA_2")
    scene.room.join(phone)
    scene.room.join(other)
    press(scene, other, "99#")
    press(scene, None, "99#")
    began = time.monotonic()
    press(scene, phone, "12#34")
    await until(lambda: len(scene.reader.read) == 2, "both are answered", seconds=5)
    assert time.monotonic() - began >= PAUSE_SECONDS
    assert scene.reader.read == ["12", "34"]


@pytest.mark.anyio
@pytest.mark.usefixtures("loaded")
async def test_keys_stand_in_the_transcript_as_digits_and_are_answered() -> None:
    async with a_call(adopted=True) as scene:
        scene.room.local_participant.publication.heard.set()
        phone = a_phone("active")
        scene.room.join(phone)
        await scene.until_said(1)
        for key in "1234#":
            scene.room.tell("sip_dtmf_received", rtc.SipDTMF(code=0, digit=key, participant=phone))  # type: ignore[arg-type]
        said = await scene.until_said(3)
    assert [said[1], said[2][0]] == [("user", "1234"), "agent"]
