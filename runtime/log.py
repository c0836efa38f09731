"""One log for a worker and its processes: standard logging, with Pipecat's loguru led into it; knows no call.

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
FORMAT = "%(levelname)s %(name)s %(message)s"


def configure(level: str) -> None:
    """Log to standard error from `level` (debug, info, warning, error) up; LiveKit's own chatter from warning up."""
    logging.basicConfig(level=level.upper(), format=FORMAT, stream=sys.stderr, force=True)
    logging.getLogger("livekit").setLevel(logging.WARNING)
    logging.getLogger("livekit.agents").setLevel(logging.WARNING)


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
