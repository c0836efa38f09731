"""What a job process finds loaded: made once by preload.py in the forkserver, used by job.py and call.py."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.agents.definition import Agent
from pipeline.agents.files import forget_agents, load_agents
from pipeline.errors import PipelineError
from pipeline.settings import PipelineSettings
from pipeline.talk.build import Analyzers
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Warm:
    """Everything a call finds loaded.

    Attributes:
        pid: the process that loaded it: the forkserver, where there is one.
        folder: from which the agents were loaded, without symbolic links.
    """

    pid: int
    folder: Path
    agents: Mapping[str, Agent]
    settings: PipelineSettings
    worker: WorkerSettings
    analyzers: Analyzers
    apology: bytes
    moment: bytes


def renewed(warm: Warm) -> Warm:
    """What was loaded, with the agents as they are now where their files are reloaded; costs some milliseconds then.

    Args:
        warm: what this process found loaded. `worker/host/agent_files.py` may have put another folder in the place of
            the one its agents came from.
    """
    if not warm.worker.reload_agents:
        return warm
    folder = warm.settings.agents.resolve()
    if folder == warm.folder:
        return warm
    forget_agents(warm.folder)
    try:
        return replace(warm, folder=folder, agents=load_agents(folder))
    except PipelineError as error:  # the worker's parent could load them
        logger.error("event=agents_faulty kept=the_agents_before fault: %s", error)
        return warm
