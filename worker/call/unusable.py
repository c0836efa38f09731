"""Says why a call's agent cannot begin, and whose fault it is; call.py asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import AgentFault, ConfigRefused, PipelineError, ProviderError
from session.record import ErrorReason


def why_unusable(error: PipelineError, config: Mapping[str, Any]) -> ErrorReason:
    """Whose fault it is that there is no conversation: the agent has worked without this `config` at the preload."""
    if isinstance(error, AgentFault):
        return ErrorReason.AGENT_FAILED
    refused = isinstance(error, ConfigRefused) or (isinstance(error, ProviderError) and config)
    return ErrorReason.BAD_CONFIG if refused else ErrorReason.PROVIDER_FAILED


def for_the_log(error: PipelineError) -> dict[str, str]:
    """What the session's log says of it: never its message, which may hold what the session chose."""
    field = {"field": error.field} if isinstance(error, ConfigRefused) else {}
    return {"error": type(error).__name__, **field}
