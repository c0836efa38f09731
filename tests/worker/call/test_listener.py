"""What happens in a conversation reaches the page, the record and the call."""

from __future__ import annotations

from typing import Any

from pipeline.talk.turn_observer import Activity
from session.record import EndReason, ErrorReason
from worker.call.listener import CallListener
from worker.call.silence import CallerSilence


class Written:
    """Page, record and checkpoints in one: writes down what it is told, and by which method."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *facts, **more: self.told.append((name, *facts, *more.values()))


class Page:
    """A page of Pipecat's; what it is told is marked."""

    def __init__(self, written: Written) -> None:
        self.written = written

    def __getattr__(self, name: str) -> Any:
        return lambda *facts, **more: self.written.told.append((f"rtvi.{name}", *facts, *more.values()))


def a_listener() -> tuple[CallListener, Written, list[Any]]:
    written: Any = Written()
    ends: list[Any] = []
    told = (written, Page(written), written, written, CallerSilence(None, None))
    return CallListener(*told, give_up=ends.append, end=ends.append), written, ends


def test_words_reach_the_page_and_the_transcript() -> None:
    listener, written, ends = a_listener()
    listener.user_words("Hel", final=False)
    listener.user_said("Hello.")
    listener.agent_sentence("Good day.")
    listener.agent_said("Good", interrupted=True)
    assert written.told == [
        ("user_words", "Hel", False),
        ("rtvi.user_words", "Hel", False),
        ("rtvi.user_said", "Hello."),
        ("say", "user", "Hello."),
        ("agent_sentence", "Good day."),
        ("rtvi.agent_sentence", "Good day."),
        ("agent_said", "Good"),
        ("rtvi.agent_said", "Good", True),
        ("say", "agent", "Good", True),
    ]
    assert ends == []


class Heard(CallerSilence):
    """Notes what breaks the silence."""

    def __init__(self) -> None:
        super().__init__(None, None)
        self.by: list[str] = []

    def words(self, now: float) -> None:
        self.by.append("words")

    def activity(self, what: Activity, now: float) -> None:
        self.by.append(what)


def test_words_spoken_and_typed_and_sounds_reach_who_watches_the_silence() -> None:
    written: Any = Written()
    silence = Heard()
    listener = CallListener(written, Page(written), written, written, silence, give_up=print, end=print)
    listener.user_words("Hel", final=False)
    listener.user_said("4711")
    listener.activity(Activity.AGENT_STOPPED)
    listener.agent_said("Good", interrupted=True)
    assert silence.by == ["words", "words", Activity.AGENT_STOPPED]


def test_a_turn_of_which_nothing_was_heard_is_not_written_down() -> None:
    listener, written, _ = a_listener()
    listener.agent_said("", interrupted=True)
    assert written.told == [("agent_said", ""), ("rtvi.agent_said", "", True)]


def test_who_starts_and_stops_is_told_to_pages_of_pipecat() -> None:
    listener, written, _ = a_listener()
    listener.activity(Activity.USER_STARTED)
    assert written.told == [("rtvi.activity", Activity.USER_STARTED)]


def test_a_turn_is_logged_with_the_time_the_caller_waited() -> None:
    listener, written, _ = a_listener()
    listener.turn_taken(gap=0.6214, barge_ins=1)
    listener.turn_taken(gap=None, barge_ins=1)
    assert written.told == [("log", "turn", 621, 1)]


def test_what_cannot_go_on_gives_the_call_up_with_its_own_reason() -> None:
    listener, written, ends = a_listener()
    listener.provider_failed("GroqLLM", permanent=True)
    listener.agent_failed("ValueError at agents/pizza.py:12")
    assert ends == [ErrorReason.PROVIDER_FAILED, ErrorReason.AGENT_FAILED]
    assert written.told == [
        ("log", "provider_failed", "error", "GroqLLM", True),
        ("log", "agent_failed", "error", "ValueError at agents/pizza.py:12"),
    ]


def test_a_goodbye_ends_the_call() -> None:
    listener, _, ends = a_listener()
    listener.wants_to_end()
    assert ends == [EndReason.FINISHED]
