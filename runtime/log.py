"""One log format for every process: standard logging, into which the worker also leads Pipecat's loguru.

Pipecat quotes what is spoken in brackets; a log must not, so brackets are emptied.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loguru import Message

# Our entrypoint returns at once, on purpose (see worker/process/job.py), and LiveKit warns of it at each call.
EXPECTED = "The job task completed without establishing a connection"
QUOTED = re.compile(r"\[.*\]|'.*'|\".*\"", re.DOTALL)
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
# Libraries whose info lines are not about sessions, and whose debug lines may hold keys or words of a call.
QUIET = (
    *("aiohttp", "docket", "httpcore", "httpcore2", "httpx", "httpx2"),
    *("livekit", "livekit.agents", "openai", "uvicorn", "websockets"),
)
# LiveKit's SDK says so on the root logger for each stream, with a topic that the caller chose.
UNKNOWN_TOPIC = ("ignoring text stream with topic", "ignoring byte stream with topic")


def configure(level: str) -> None:
    """Log to standard error from `level` (debug, info, warning, error) up; libraries in QUIET from warning up."""
    logging.basicConfig(level=level.upper(), format=FORMAT, stream=sys.stderr, force=True)
    quiet_libraries()


def quiet_libraries() -> None:
    """Leave out what libraries say of a call's contents; in every process, whatever its level."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger().addFilter(_topic_known)


def _topic_known(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(UNKNOWN_TOPIC)


def drop_expected() -> None:
    """Leave out the warning that LiveKit gives at each call; in a job's own process, where it is made."""
    logging.getLogger("livekit.agents").addFilter(_unexpected)


def _unexpected(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(EXPECTED)


def bridge_loguru() -> None:
    """Lead Pipecat's warnings and errors into standard logging, without what they quote."""
    from loguru import logger as loguru_logger

    loguru_logger.remove()
    loguru_logger.add(_forward, level="WARNING", format="{message}", catch=True)


def _forward(message: Message) -> None:
    record = message.record
    name = record["name"] or "pipecat"
    logging.getLogger(name).log(record["level"].no, "%s", without_quotes(record["message"]))


def without_quotes(text: str) -> str:
    """The text with all that it quotes left out: it may be what somebody said."""
    return QUOTED.sub("[…]", text)
