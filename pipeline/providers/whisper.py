"""Whisper over HTTP, at Groq and OpenAI; their files name these services."""

from __future__ import annotations

from pipecat.services.groq.stt import GroqSTTService
from pipecat.services.openai.stt import OpenAISTTService

from pipeline.providers.in_pieces import InPieces


class GroqSTT(InPieces, GroqSTTService):
    """Groq's Whisper, which hears long speech piece by piece."""


class OpenAISTT(InPieces, OpenAISTTService):
    """OpenAI's transcription, which hears long speech piece by piece."""
