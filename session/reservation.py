"""What a token promises: a session that no store has yet, inside its dispatch; dispatcher and worker use it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from session.errors import BadMetadata
from session.record import Session, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A session that begins when its caller joins. Whoever has the token can read this: nothing secret belongs here.

    Attributes:
        at: when the token was made, Unix seconds of the store's clock.
        deployment: which workers the dispatch asks.
        max_owned: how many live sessions its owner may have with this one; None: any number.
        agent, owner, user_name, metadata, config: as on the session's record.
    """

    at: float
    agent: str = "default"
    deployment: str = ""
    max_owned: int | None = None
    owner: str = ""
    user_name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it: what is empty is left out."""
        facts = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: dict(fact) if isinstance(fact, Mapping) else fact for name, fact in facts.items() if fact}


def read_reservation(data: Any) -> Reservation:
    """The reservation that `to_dict` wrote; fields that are not known are ignored.

    Raises:
        BadMetadata: a field is missing or wrong.
    """
    if not isinstance(data, dict) or not isinstance(at := data.get("at"), int | float) or not math.isfinite(at):
        raise BadMetadata("a reservation has no time")
    texts = {name: data.get(name) or "" for name in ("agent", "deployment", "owner", "user_name")}
    max_owned = data.get("max_owned")
    if max_owned is not None and type(max_owned) is not int:
        raise BadMetadata("a reservation has a limit that is no number")
    objects = {name: data.get(name) or {} for name in ("metadata", "config")}
    if not all(isinstance(each, str) for each in texts.values()):
        raise BadMetadata("a reservation has a name that is no text")
    if not all(isinstance(each, dict) for each in objects.values()):
        raise BadMetadata("a reservation has facts that are no object")
    return Reservation(
        at=float(at),
        agent=texts["agent"] or "default",
        deployment=texts["deployment"],
        max_owned=max_owned,
        owner=texts["owner"],
        user_name=texts["user_name"] or None,
        **objects,
    )


def taken_up(session_id: str, reservation: Reservation, now: float, *, deadline: float) -> Session:
    """The session that begins with its caller's join: LiveKit has made its room, and asks for its agent by itself.

    Args:
        session_id: as the token names it; the room has the same name.
        reservation: what was promised.
        now: Unix seconds of the store's clock.
        deadline: when a worker must have accepted it.
    """
    return Session(
        id=session_id,
        room=session_id,
        state=State.STARTING,
        created_at=now,
        since=now,
        last_active=now,
        agent=reservation.agent,
        attempt=1,
        tries=1,
        deployment=reservation.deployment,
        progress_at=now,
        deadline=deadline,
        room_made=True,
        owner=reservation.owner,
        user_name=reservation.user_name,
        metadata=reservation.metadata,
        config=reservation.config,
        steps={"request": 0.0},
    )
