"""Pipecat's settings of a brain that is no model: there is nothing to set; rule_brain and scripts of tests use them."""

from __future__ import annotations

from pipecat.services.settings import LLMSettings


def without_model(name: str, *, prompt: str | None = None) -> LLMSettings:
    """Settings of which each is given, as Pipecat demands, and nothing is chosen.

    Args:
        name: stands where a model's name would.
        prompt: what the brain is told to be.
    """
    return LLMSettings(
        model=name,
        system_instruction=prompt,
        temperature=None,
        max_tokens=None,
        top_p=None,
        top_k=None,
        frequency_penalty=None,
        presence_penalty=None,
        seed=None,
        filter_incomplete_user_turns=False,
        user_turn_completion_config=None,
    )
