"""The ears, brain and voice of one conversation; conversation.py makes them unless it is given others."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.tts_service import TTSService

from pipeline.agents.definition import ResolvedAgent
from pipeline.providers import candidates
from pipeline.settings import PipelineSettings


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


def make_services(agent: ResolvedAgent, settings: PipelineSettings) -> Services:
    """Make those that an agent has chosen.

    Args:
        agent: Who talks.
        settings: The deployment's, for keys.

    Raises:
        ProviderError: One can't be made.
    """
    stt, llm, tts = (
        candidates("stt", agent.stt, settings, language=agent.language),
        candidates("llm", agent.llm, settings, prompt=agent.prompt),
        candidates("tts", agent.tts, settings, voices=agent.voices, language=agent.language),
    )
    return Services(
        stt=stt[0].make(),
        llm=llm[0].make(),
        tts=tts[0].make(),
    )
