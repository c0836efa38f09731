"""What one worker is told: slots, pool, ports, drain; read from the environment once when it starts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runtime.cpu import cores
from session.settings import CallLimits, Connections

CORES_PER_CALL = 0.25  # of one CPU core while talking with local speech: slots default to cores / this


def default_slots() -> int:
    """Calls this machine can carry at once."""
    return max(1, int(cores() / CORES_PER_CALL))


class WorkerSettings(Connections, CallLimits):
    """What one worker is told."""

    worker_id: str | None = Field(None, validation_alias="GREENROOM_WORKER_ID")
    """This worker's name in the store; default: the host's name and eight random digits."""
    slots: int = Field(default_factory=default_slots, validation_alias="GREENROOM_SLOTS", ge=1)
    """Calls this worker takes at once; default: its cores / 0.25."""
    pool_size: int = Field(3, validation_alias="PREWARM_POOL_SIZE", ge=1)
    """Processes kept warm, waiting for a call: by all workers together, shared out by their free slots."""
    worker_host: str = Field("127.0.0.1", validation_alias="GREENROOM_WORKER_HOST")
    """Address on which the worker answers health checks."""
    worker_port: int = Field(8081, validation_alias="GREENROOM_WORKER_PORT", ge=0, le=65535)
    """Port on which the worker answers health checks; 0 chooses a free one."""
    drain: Literal["wait", "handover"] = Field("wait", validation_alias="GREENROOM_DRAIN")
    """What happens to running calls after SIGTERM: wait for their end, or hand them over to other workers at once."""
    drain_seconds: float = Field(3600.0, validation_alias="GREENROOM_DRAIN_SECONDS", ge=0)
    """Seconds that running calls may go on after SIGTERM; those that are left are then handed over."""
    memory_limit: int = Field(1000, validation_alias="GREENROOM_MEMORY_LIMIT", ge=0)
    """Megabytes of its own that a call's process may take before it is ended and replaced; 0: any."""
    heartbeat_seconds: float = Field(1.0, validation_alias="GREENROOM_HEARTBEAT_SECONDS", gt=0)
    """Seconds between two heartbeats to the store."""
    reload_agents: bool = Field(False, validation_alias="GREENROOM_RELOAD_AGENTS")
    """Whether agents are loaded anew when one of their files is saved; `greenroom dev` sets it. Not for production."""
