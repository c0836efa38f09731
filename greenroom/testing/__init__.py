"""What an author's tests import: the caller of a conversation, and what stands in for brain and tools."""

from __future__ import annotations

from greenroom.testing.caller import Caller, Verdict
from greenroom.testing.exchange import Exchange, ToolCall
from greenroom.testing.marks import agent, brain, tools
from greenroom.testing.script import calls, fails

__all__ = ["Caller", "Exchange", "ToolCall", "Verdict", "agent", "brain", "calls", "fails", "tools"]
