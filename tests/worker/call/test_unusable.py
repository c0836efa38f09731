"""Why an agent cannot begin: its author's fault, its session's, or its provider's."""

from __future__ import annotations

import pytest

from pipeline.errors import AgentFault, ConfigRefused, PipelineError, UnknownProvider
from session.record import ErrorReason
from worker.call.unusable import for_the_log, why_unusable

UNKNOWN = UnknownProvider("llm", "nobody", ["groq"])


@pytest.mark.parametrize(
    ("error", "config", "reason"),
    [
        (AgentFault("tools", "is no list", "Write a list"), {"voice": "low"}, ErrorReason.AGENT_FAILED),
        (ConfigRefused("llm", "is not open"), {}, ErrorReason.BAD_CONFIG),
        (UNKNOWN, {"llm": "nobody"}, ErrorReason.BAD_CONFIG),
        (UNKNOWN, {}, ErrorReason.PROVIDER_FAILED),
        (PipelineError("this worker has no agent 'x'"), {"llm": "groq"}, ErrorReason.PROVIDER_FAILED),
    ],
)
def test_each_fault_has_its_reason(error: PipelineError, config: dict[str, str], reason: ErrorReason) -> None:
    assert why_unusable(error, config) is reason


def test_the_log_names_the_field_and_no_more() -> None:
    assert for_the_log(ConfigRefused("llm", "is not open")) == {"error": "ConfigRefused", "field": "llm"}
    assert for_the_log(UNKNOWN) == {"error": "UnknownProvider"}
