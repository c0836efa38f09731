"""The ears, brain and voice of one conversation; conversation.py makes them unless it is given others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.tts_service import TTSService

from pipeline.agents.definition import ResolvedAgent
from pipeline.fallback.candidates import Candidate, Circuits, choose
from pipeline.providers import candidates
from pipeline.settings import PipelineSettings

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Services:
    """What a conversation hears, thinks and speaks with.

    Attributes:
        stt: Speech to text; any processor where nobody speaks.
        llm: The brain, told the agent's prompt.
        tts: Text to speech.
    """

    stt: FrameProcessor
    llm: LLMService
    tts: TTSService


def make_services(agent: ResolvedAgent, settings: PipelineSettings, circuits: Circuits) -> Services:
    """Make those that an agent has chosen.

    Args:
        agent: Who talks.
        settings: The deployment's, for keys.
        circuits: Which providers are left alone.

    Raises:
        ProviderError: One can't be made.
    """
    stt, llm, tts = (
        candidates("stt", agent.stt, settings, language=agent.language),
        candidates("llm", agent.llm, settings, prompt=agent.prompt),
        candidates("tts", agent.tts, settings, voices=agent.voices, language=agent.language),
    )
    now = time.monotonic()
    return Services(
        stt=_first(stt, circuits, now).make(),
        llm=_first(llm, circuits, now).make(),
        tts=_first(tts, circuits, now).make(),
    )


def _first(listed: Sequence[Candidate[S]], circuits: Circuits, now: float) -> Candidate[S]:
    """The one that a call begins with."""
    return choose(listed, circuits, now) or listed[0]
