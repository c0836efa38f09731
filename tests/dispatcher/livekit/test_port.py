import inspect
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from livekit.protocol.webhook import WebhookEvent

from dispatcher.livekit.port import OpenRoom, Participant, ParticipantDetails, Rooms, RoomWebhook, WebhookKind
from dispatcher.livekit.rooms import LiveKitRooms
from tests.dispatcher.fakes import FakeRooms

ROOT = Path(__file__).resolve().parents[3]
ASKED = [name for name, each in vars(Rooms).items() if inspect.isfunction(each) and not name.startswith("_")]


@pytest.mark.parametrize("rooms", [LiveKitRooms, FakeRooms])
@pytest.mark.parametrize("name", ASKED)
def test_every_kind_of_rooms_answers_what_the_port_asks(rooms: type, name: str) -> None:
    asked, answered = getattr(Rooms, name), getattr(rooms, name)
    assert inspect.iscoroutinefunction(answered) is inspect.iscoroutinefunction(asked)
    parameters = inspect.signature(asked).parameters
    assert [(each.name, each.kind) for each in inspect.signature(answered).parameters.values()] == [
        (each.name, each.kind) for each in parameters.values()
    ]


@pytest.mark.parametrize("kind", WebhookKind)
def test_a_hint_is_named_as_livekit_names_its_webhook(kind: WebhookKind) -> None:
    assert WebhookKind(WebhookEvent(event=kind).event) is kind
    assert kind in ("participant_joined", "participant_left", "room_started", "room_finished")


@pytest.mark.parametrize(
    "value",
    [OpenRoom("a", "RM_a"), Participant("a"), RoomWebhook("EV_a", None, OpenRoom("a", "RM_a")), ParticipantDetails()],
    ids=lambda value: type(value).__name__,
)
def test_what_passes_the_port_cannot_be_changed(value: object) -> None:
    name = next(iter(type(value).__dataclass_fields__))  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, "other")


def test_a_participant_is_a_person_unless_it_is_said() -> None:
    assert Participant("somebody").kind == "STANDARD"


def test_the_port_loads_no_sdk() -> None:
    script = (
        "import sys, dispatcher.livekit.port; print([name for name in ('livekit', 'aiohttp') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
