"""What a page asks for over RTVI: carried out for the caller alone, within bounds, and refused by the protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from livekit import rtc

from tests.worker.rooms import FakeRoom, Participant
from worker.call.intake import BURST, MAX_TEXT_BYTES
from worker.call.rtvi_requests import RtviRequests

CALLER = Participant("caller-session_a")


class Told:
    """Page, caller and call in one; writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.takes = True

    def is_caller(self, participant: Any) -> bool:
        return participant is CALLER

    def caller(self, identity: str) -> None:
        assert identity == CALLER.identity

    def enter(self, words: str) -> bool:
        self.told.append(("enter", words))
        return self.takes

    def __getattr__(self, name: str) -> Any:
        return lambda *facts: self.told.append((name, *facts))


class Scene:
    """A room in which somebody sends packets."""

    def __init__(self) -> None:
        self.room, self.page = FakeRoom(), Told()
        anything: Any = self.page
        room: Any = self.room
        self.requests = RtviRequests(room, "session_a", anything, anything, anything)
        self.told = self.page.told

    def packet(self, data: bytes, sender: Participant | None = CALLER, topic: str | None = None) -> None:
        kind = rtc.DataPacketKind.KIND_RELIABLE
        whose: Any = sender
        self.room.tell("data_received", rtc.DataPacket(data, kind, whose, topic))

    def send(self, type_: str, data: Any = None, **more: Any) -> None:
        message = {"label": "rtvi-ai", "type": type_, "id": "1", "data": data}
        self.packet(json.dumps(message).encode(), **more)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize(
    ("type_", "data", "told"),
    [
        ("client-ready", {"version": "2.1.0", "about": {"library": "x"}}, ("client_ready", "1", "2.1.0")),
        ("client-ready", None, ("client_ready", "1", "0.0.0")),
        ("disconnect-bot", {}, ("caller_hangs_up",)),
        ("send-file", {"content": "x"}, ("refuse", "1", "Unsupported type send-file")),
        ("client-message", {"t": "x", "d": 1}, ("refuse", "1", "Unsupported type client-message")),
        ("send-text", {"content": 7}, ("refuse", "1", "Invalid message: content is no text")),
        ("send-text", {"content": " "}, ("refuse", "1", "Invalid message: content is no text")),
        ("dtmf", {"buttons": "12"}, ("refuse", "1", "Invalid message: buttons are no list of keys")),
        ("dtmf", {"buttons": [1]}, ("refuse", "1", "Invalid message: buttons are no list of keys")),
    ],
)
def test_each_request_is_carried_out_or_refused(scene: Scene, type_: str, data: Any, told: tuple[Any, ...]) -> None:
    scene.send(type_, data)
    assert scene.told == [told]


def test_typed_words_are_answered_and_keys_are_pressed(scene: Scene) -> None:
    scene.send("send-text", {"content": "Hello", "options": {"run_immediately": True, "audio_response": False}})
    scene.send("dtmf", {"buttons": ["1", "#"]})
    assert scene.told == [("enter", "Hello"), ("typed", "1", "Hello"), ("press", "1"), ("press", "#")]


def test_a_page_whose_words_are_not_answered_is_not_told_that_they_were_taken(scene: Scene) -> None:
    scene.page.takes = False
    scene.send("send-text", {"content": "Hello"})
    assert [told[0] for told in scene.told] == ["enter", "refuse"]


def test_words_that_are_not_to_be_answered_now_are_refused(scene: Scene) -> None:
    scene.send("send-text", {"content": "Hello", "options": {"run_immediately": False}})
    assert [told[0] for told in scene.told] == ["refuse"]


def test_nobody_else_may_ask_and_other_packets_cost_nothing(scene: Scene) -> None:
    scene.send("disconnect-bot", sender=Participant("guest"))
    scene.send("disconnect-bot", sender=None)
    scene.send("disconnect-bot", topic="mine")
    for _ in range(100):
        scene.packet(b"a game's own packets " * 1000)
    assert scene.told == []


def test_a_page_that_sends_too_much_or_too_long_is_refused(scene: Scene) -> None:
    for _ in range(BURST + 5):
        scene.send("send-file")
    assert [told[0] for told in scene.told] == ["refuse"] * BURST + ["caller_refused"] * 5
    scene.told.clear()
    scene.send("send-text", {"content": "x" * MAX_TEXT_BYTES})
    assert scene.told == [("caller_refused",)]


def test_what_is_no_request_is_ignored(scene: Scene) -> None:
    scene.packet(b'"rtvi-ai"' + b"[" * 10_000)
    scene.packet(b'{"label": "rtvi-ai", "type": 7}')
    assert scene.told == []
