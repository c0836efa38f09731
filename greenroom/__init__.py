"""The public API: what an agent's file imports; everything else may move between releases."""

from __future__ import annotations

from pipeline.agents.definition import Agent, Extra
from pipeline.agents.tools import Call, Phone, end_call, repeatable
from pipeline.providers import Provider

__all__ = ["Agent", "Call", "Extra", "Phone", "Provider", "end_call", "repeatable"]
