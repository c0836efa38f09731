"""How the agents of earlier attempts are sent out of their room."""

import logging
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.attempts.ghosts import Ghosts
from dispatcher.livekit.port import Participant
from dispatcher.observe.metrics import Metrics
from session.fence import agent_identity
from session.record import Session
from tests.dispatcher.house import CALLER, Rooms, recovering

pytestmark = pytest.mark.anyio

GHOST = Participant(agent_identity("session_a", 1), kind="AGENT", unmuted=("TR_voice", "TR_other"))
AGENT = Participant(agent_identity("session_a", 2), kind="AGENT", unmuted=("TR_agent",))
SESSION = recovering(attempt=2)


@dataclass
class Scene:
    """The ghosts of a dispatcher, and a room with people in it."""

    rooms: Rooms
    ghosts: Ghosts
    registry: CollectorRegistry

    def asked(self) -> list[str]:
        return [what for what, _ in self.rooms.calls]

    async def send_out(self, session: Session = SESSION) -> None:
        self.ghosts.send_out(session)
        await self.ghosts.settled()

    @property
    def removed(self) -> float | None:
        return self.registry.get_sample_value("greenroom_ghosts_removed_total")


def a_scene(*people: Participant, give_up_seconds: float = 10.0) -> Scene:
    registry = CollectorRegistry()
    rooms = Rooms(people={"session_a": list(people)})
    return Scene(rooms, Ghosts(rooms, Metrics(registry), give_up_seconds), registry)


async def test_a_ghost_is_marked_and_silenced_before_it_is_removed() -> None:
    scene = a_scene(AGENT, GHOST, CALLER)
    await scene.send_out()
    assert scene.asked() == ["participants", "mark", "mute", "mute", "remove", "participants"]
    assert (scene.rooms.marked, scene.rooms.muted) == ([GHOST.identity], ["TR_voice", "TR_other"])
    assert scene.rooms.people["session_a"] == [AGENT, CALLER]
    assert scene.removed == 1


async def test_it_is_removed_until_the_server_no_longer_lists_it() -> None:
    scene = a_scene(AGENT, GHOST, CALLER)
    scene.rooms.sticky = {GHOST.identity: 3}
    await scene.send_out()
    assert scene.asked().count("remove") == 3
    assert scene.rooms.people["session_a"] == [AGENT, CALLER]


async def test_of_a_first_attempt_nothing_is_asked() -> None:
    scene = a_scene(CALLER)
    await scene.send_out(recovering(attempt=1))
    assert scene.asked() == []


async def test_one_whose_node_is_dead_is_given_up_and_does_not_hold_up_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dead = Participant(agent_identity("session_a", 2), kind="AGENT", unmuted=("TR_dead",))
    scene = a_scene(GHOST, dead, CALLER, give_up_seconds=0.5)
    scene.rooms.dead = {dead.identity}
    with caplog.at_level(logging.WARNING, "dispatcher"):
        await scene.send_out(recovering(attempt=3))
    assert scene.rooms.people["session_a"] == [dead, CALLER]
    assert "session=session_a event=ghost_stays attempt=3" in caplog.text


async def test_while_livekit_is_away_nothing_is_given_up_at_once() -> None:
    scene = a_scene(GHOST, CALLER, give_up_seconds=0.2)
    scene.rooms.away = True
    await scene.send_out()
    assert scene.rooms.people["session_a"] == [GHOST, CALLER]
    scene.rooms.away = False
    await scene.send_out()
    assert scene.rooms.people["session_a"] == [CALLER]


async def test_what_is_under_way_is_not_begun_again() -> None:
    scene = a_scene(GHOST, CALLER)
    for _ in range(3):
        scene.ghosts.send_out(SESSION)
    await scene.ghosts.settled()
    assert scene.asked().count("remove") == 1
