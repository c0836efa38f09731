"""What a job process finds loaded: made once by preload.py in the forkserver, used by job.py and call.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.agents.definition import Agent
from pipeline.settings import PipelineSettings
from pipeline.talk.build import Analyzers
from worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Warm:
    """Everything a call finds loaded. `pid` is the process that loaded it: the forkserver, where there is one."""

    pid: int
    agents: Mapping[str, Agent]
    settings: PipelineSettings
    worker: WorkerSettings
    analyzers: Analyzers
    apology: bytes
