"""Which of our clocks are wrong, compared with the store's, by a pure function that the health route asks."""

from __future__ import annotations

from collections.abc import Iterable

from session.store.ports import Worker

# LiveKit's tokens and webhooks carry the time they were made at, and are refused when that is about a minute off; it is
# said at half of it, before anything breaks. A heartbeat that was slow on its way is off by a few seconds at most.
OFF_SECONDS = 30.0


def warnings(dispatcher: float, store: float, workers: Iterable[Worker]) -> list[str]:
    """A sentence for each clock that is off by more than OFF_SECONDS.

    Args:
        dispatcher: our own clock, Unix seconds.
        store: the store's, at the same moment.
        workers: with their own clock's time at their last heartbeat.
    """
    clocks = [("this dispatcher", dispatcher - store)]
    clocks += [(f"worker {each.id}", each.clock - each.seen_at) for each in workers if each.clock is not None]
    return [_sentence(whose, off) for whose, off in clocks if abs(off) > OFF_SECONDS]


def _sentence(whose: str, off: float) -> str:
    way = "ahead of" if off > 0 else "behind"
    return (
        f"The clock of {whose} is {abs(off):.0f} s {way} the store's. LiveKit refuses tokens that are off by more than "
        "about a minute: run NTP on every machine."
    )
