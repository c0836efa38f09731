"""A log never says what was said."""

import logging
from pathlib import Path

import pytest
from livekit.agents.ipc import job_proc_lazy_main
from livekit.rtc import room
from loguru import logger as loguru_logger

from runtime.log import EXPECTED, UNKNOWN_TOPIC, bridge_loguru, configure, drop_expected, without_quotes


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("service is no longer usable, not speaking [My name is Ada]", "not speaking […]"),
        ("a [b] c [my pin is 1234] d", "a […] d"),
        ("nested [one [two] three]", "nested […]"),
        ("said 'open sesame' twice", "said […] twice"),
        ('got "open sesame"', "got […]"),
        ("over\n[two\nlines]\nof it", "over\n[…]\nof it"),
    ],
)
def test_what_is_quoted_is_left_out(message: str, kept: str) -> None:
    assert without_quotes(message).endswith(kept)
    for words in ("Ada", "1234", "two", "sesame"):
        assert words not in without_quotes(message)


def test_what_quotes_nothing_stays_as_it_is() -> None:
    assert without_quotes("connection lost after 3 s") == "connection lost after 3 s"


def test_pipecats_warnings_reach_the_log_without_what_they_quote(caplog: pytest.LogCaptureFixture) -> None:
    bridge_loguru()
    with caplog.at_level(logging.DEBUG):
        loguru_logger.info("hears [nothing of this]")
        loguru_logger.warning("no longer usable, not speaking [my pin is 1234]")
        loguru_logger.error("it broke")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "no longer usable, not speaking […]"),
        ("ERROR", "it broke"),
    ]


@pytest.fixture
def own_root_logger() -> object:
    """Puts the root logger's handlers and level back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers[:], root.level = handlers, level


def test_livekit_is_heard_from_warning_up_whatever_the_level(
    own_root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    configure("debug")
    assert own_root_logger.level == logging.DEBUG
    assert not logging.getLogger("livekit.agents").isEnabledFor(logging.INFO)
    assert logging.getLogger("livekit.agents").isEnabledFor(logging.WARNING)
    logging.getLogger("worker").debug("event=tried")
    assert "DEBUG worker event=tried" in capfd.readouterr().err


@pytest.mark.parametrize(
    "name", ["websockets.client", "httpcore.connection", "httpcore2.http11", "httpx", "httpx2", "openai._base_client"]
)
def test_what_prints_keys_and_words_at_debug_is_silent_whatever_the_level(
    own_root_logger: logging.Logger, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    configure("debug")
    logging.getLogger(name).debug("> Authorization: Token %s", "k-123")
    assert "k-123" not in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["text", "byte"])
def test_a_callers_unknown_topics_are_not_written_down(
    own_root_logger: logging.Logger, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    configure("info")
    for n in range(100):
        logging.info(f"ignoring {kind} stream with topic '%s', no callback attached", f"my words {n}")
    logging.getLogger("worker").info("event=tried")
    err = capfd.readouterr().err
    assert "my words" not in err
    assert "event=tried" in err


def test_the_line_of_an_unknown_topic_is_the_one_that_livekit_writes() -> None:
    written = Path(room.__file__).read_text("utf-8")
    assert all(begin in written for begin in UNKNOWN_TOPIC)


def test_a_warning_that_comes_with_each_call_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    livekit = logging.getLogger("livekit.agents")
    filters = list(livekit.filters)
    try:
        drop_expected()
        livekit.warning(EXPECTED + " or calling ctx.shutdown()")
        livekit.warning("the room is gone")
    finally:
        livekit.filters[:] = filters
    assert [record.getMessage() for record in caplog.records] == ["the room is gone"]


def test_the_expected_warning_is_the_one_that_livekit_gives() -> None:
    assert EXPECTED in Path(job_proc_lazy_main.__file__).read_text("utf-8")
