"""The ears, brain and voice of one conversation; conversation.py makes them unless it is given others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService

from pipeline.agents.definition import ResolvedAgent
from pipeline.fallback.branch import Noticed
from pipeline.fallback.candidates import Candidate, Circuits
from pipeline.fallback.llm import FallbackLLM, Hooks
from pipeline.fallback.stt import FallbackSTT
from pipeline.fallback.tts import FallbackTTS
from pipeline.providers import Kind, candidates
from pipeline.providers.choices import LOCAL
from pipeline.settings import PipelineSettings

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Services:
    """What a conversation hears, thinks and speaks with.

    Attributes:
        stt: Speech to text; any processor where nobody speaks.
        llm: The brains in order, told the agent's prompt: one that fails is left for the next.
        tts: Text to speech.
    """

    stt: FrameProcessor
    llm: Sequence[Candidate[LLMService[Any]]]
    tts: FrameProcessor


def make_services(
    agent: ResolvedAgent, settings: PipelineSettings, circuits: Circuits, *, owner: str, noticed: Noticed
) -> Services:
    """Make those that an agent has chosen.

    Args:
        agent: Who talks.
        settings: The deployment's, for keys.
        circuits: Which providers are left alone.
        owner: Whose conversation it is, for the log.
        noticed: Told of each provider of speech that fails, for the session's log.

    Raises:
        ProviderError: One can't be made.
    """
    stt, llm, tts = (
        candidates("stt", agent.stt, settings, language=agent.language),
        candidates("llm", agent.llm, settings, prompt=agent.prompt),
        candidates("tts", agent.tts, settings, voices=agent.voices, language=agent.language),
    )
    patience = settings.answer_seconds
    ears, voice = (
        stt[0].make()
        if _is_bundled("stt", stt)
        else FallbackSTT(stt, circuits, patience=patience, owner=owner, noticed=noticed),
        tts[0].make()
        if _is_bundled("tts", tts)
        else FallbackTTS(tts, circuits, patience=patience, owner=owner, noticed=noticed, language=agent.language),
    )
    return Services(ears, llm, voice)


def _is_bundled(kind: Kind, listed: Sequence[Candidate[S]]) -> bool:
    """Whether it is the one alone that runs here: nothing stands between it and the call."""
    return [each.name for each in listed] == [LOCAL[kind]]


def make_brain(
    llms: Sequence[Candidate[LLMService[Any]]],
    circuits: Circuits,
    agent: ResolvedAgent,
    settings: PipelineSettings,
    hooks: Hooks,
    *,
    equip: Callable[[LLMService[Any]], None],
) -> FallbackLLM:
    """Make one brain of several LLMs.

    Args:
        llms: In order.
        circuits: Which are left alone.
        agent: Who talks.
        settings: The deployment's.
        hooks: To the conversation.
        equip: Gives the agent's tools to an LLM that was made.
    """
    patience, no_answer = settings.answer_seconds, agent.no_answer
    return FallbackLLM(llms, circuits, patience=patience, equip=equip, hooks=hooks, no_answer=no_answer)
