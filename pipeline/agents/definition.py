"""What an agent is, and what a session may change of it; users' files make one, the worker resolves it for a call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.agents.checks import check_field
from pipeline.agents.tools import Call, Tool, ToolFunction, describe
from pipeline.errors import AgentFault, ConfigRefused, ProviderError
from pipeline.providers import KINDS, Choices, Kind, Provider, by_provider, check, chosen, default

if TYPE_CHECKING:
    from pipecat.processors.frame_processor import FrameProcessor

    from pipeline.settings import PipelineSettings


class Extra(NamedTuple):
    """Pipecat processors of an agent's own, made anew for each call.

    Attributes:
        before_llm: Between speech-to-text and the LLM.
        before_tts: Between the LLM and text-to-speech.
    """

    before_llm: Sequence[FrameProcessor] = ()
    before_tts: Sequence[FrameProcessor] = ()


@dataclass(frozen=True)
class Agent:
    """An agent, as its author writes it.

    Attributes:
        name: By which a session asks for it: lower-case letters, digits, - and _.
        prompt: What the LLM is told to be.
        greeting: The first words, spoken as soon as the caller can hear them.
        language: BCP 47 tag of the language spoken, such as "en" or "de-AT".
        stt: Speech to text: a name, a `Provider` with options, or several in order, each of which stands in for the
            one before it; None is the deployment's own.
        llm: Brain, likewise.
        tts: Text to speech, likewise.
        voice: A voice of the first text-to-speech provider, or voices by provider's name; None is the deployment's or
            the provider's own.
        tools: Typed async functions with a docstring.
        overridable: What a session may choose for itself: prompt, greeting, voice, language, stt, llm, tts.
        processors: Makes Pipecat processors of the agent's own for a call; None for none.
        dropped_out: Said by the agent that takes over when this one was lost in a call; may be empty.
        goodbye: Said before the agent ends a call when the LLM says nothing itself.
        still_there: Said to a caller who has been silent for GREENROOM_SILENCE_ASK.
        not_understood: Said, once, to a caller whose words can't be made out; "" answers them as they are.
        waiting: Said while a tool is at work for so long that the caller would hear nothing; may be empty.
        no_answer: Said when the LLM has twice answered without a word; may be empty.
    """

    name: str
    prompt: str
    greeting: str
    language: str = "en"
    stt: Choices | None = None
    llm: Choices | None = None
    tts: Choices | None = None
    voice: str | Mapping[str, str] | None = None
    tools: Sequence[ToolFunction] = ()
    overridable: frozenset[str] | tuple[str, ...] = ("voice", "language")
    processors: Callable[[Call], Extra] | None = None
    dropped_out: str = "Sorry, I dropped out for a moment."
    goodbye: str = "Goodbye."
    still_there: str = "Are you still there?"
    not_understood: str = "Sorry, I didn't catch that."
    waiting: str = "I'm still working on it."
    no_answer: str = "Sorry, I have no answer to that. Could you say it in other words?"

    def with_config(self, config: Mapping[str, object]) -> Agent:
        """This agent with a session's own settings.

        A session that chooses another text-to-speech provider and no voice gets that provider's own voice.

        Args:
            config: Values by name; None values are left out.

        Returns:
            The agent for this session.

        Raises:
            ConfigRefused: A name isn't open to sessions, or its value can't be used.
        """
        changes: dict[str, Any] = {}
        for field, value in config.items():
            if value is None:
                continue
            if field not in self.overridable:
                open_to = ", ".join(sorted(self.overridable)) or "nothing"
                raise ConfigRefused(field, f"cannot be chosen by a session of agent {self.name!r}; open: {open_to}")
            changes[field] = _choice(field, value) if field in ("stt", "llm", "tts") else value
        if "tts" in changes:
            changes.setdefault("voice", None)
        elif isinstance(changes.get("voice"), str) and isinstance(self.voice, Mapping) and self.tts is not None:
            changes["voice"] = {**self.voice, chosen("tts", self.tts)[0].name: changes["voice"]}
        changed = replace(self, **changes)
        for field in changes:
            try:
                check_field(vars(changed), field)
            except AgentFault as fault:
                raise ConfigRefused(field, f"{fault.problem}. {fault.remedy}") from fault
        return changed

    def resolve(self, settings: PipelineSettings) -> ResolvedAgent:
        """Fill in what this agent leaves to the deployment, and check that it can work here.

        Args:
            settings: The deployment's.

        Returns:
            The agent, complete.

        Raises:
            ProviderError: A provider, key, option or voice is missing or wrong; names the agent.
        """
        try:
            stt, llm, tts = (self.providers(kind, settings) for kind in KINDS)
            voices = self._voices(tts, settings)
            for each in stt:
                check("stt", each, settings, language=self.language)
            for each in llm:
                check("llm", each, settings)
            for each in tts:
                check("tts", each, settings, voice=voices.get(each.name), language=self.language)
        except ProviderError as error:
            error.args = (f"agent {self.name!r}: {error}",)
            raise
        return ResolvedAgent(
            name=self.name,
            prompt=self.prompt,
            greeting=self.greeting,
            language=self.language,
            stt=stt,
            llm=llm,
            tts=tts,
            voices=voices,
            tools=tuple(_described(function) for function in self.tools),
            processors=self.processors,
            dropped_out=self.dropped_out,
            goodbye=self.goodbye,
            still_there=self.still_there,
            not_understood=self.not_understood,
            waiting=self.waiting,
            no_answer=self.no_answer,
        )

    def providers(self, kind: Kind, settings: PipelineSettings) -> tuple[Provider, ...]:
        """The providers that it has here, in order, its own or the deployment's.

        Raises:
            BadList: They can't be read.
        """
        given: Choices | None = getattr(self, kind)
        return default(kind, settings) if given is None else chosen(kind, given)

    def _voices(self, tts: Sequence[Provider], settings: PipelineSettings) -> dict[str, str]:
        """The voice of each text-to-speech provider; a deployment's voices belong to the deployment's providers."""
        deployments = by_provider("tts", "voice", settings.voice, tts) if self.tts is None else {}
        return deployments | by_provider("tts", "voice", self.voice, tts)


@functools.cache
def _described(function: ToolFunction) -> Tool:
    """Kept, because making its model takes 10 ms and a call should find it made."""
    return describe(function)


@dataclass(frozen=True)
class ResolvedAgent:
    """An agent with nothing left open; fields as in `Agent`.

    Attributes:
        stt: In order: each stands in for the one before it. `llm` and `tts` likewise.
        voices: By text-to-speech provider; one that is left out has a voice of its own.
    """

    name: str
    prompt: str
    greeting: str
    language: str
    stt: tuple[Provider, ...]
    llm: tuple[Provider, ...]
    tts: tuple[Provider, ...]
    voices: Mapping[str, str]
    tools: tuple[Tool, ...]
    processors: Callable[[Call], Extra] | None
    dropped_out: str
    goodbye: str
    still_there: str
    not_understood: str
    waiting: str
    no_answer: str

    def extra_processors(self, call: Call) -> Extra:
        """Make the agent's own processors for a call.

        Args:
            call: The call.

        Returns:
            What the author's function made; empty without one.

        Raises:
            AgentFault: It returned something else.
        """
        if self.processors is None:
            return Extra()
        made = self.processors(call)
        if not isinstance(made, Extra):
            raise AgentFault(
                "processors", f"returned {type(made).__name__}", "Return Extra(before_llm=[...], before_tts=[...])"
            )
        return made


def _choice(field: str, value: object) -> Choices:
    """What a session's config says of a provider: a name, an object, or a list of these."""
    if isinstance(value, list) and value:
        return [_one_choice(field, each) for each in value]
    return _one_choice(field, value)


def _one_choice(field: str, value: object) -> Provider | str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and value.keys() <= {"name", "options"} and isinstance(value.get("name"), str):
        options = value.get("options") or {}
        if isinstance(options, Mapping):
            return Provider(value["name"], dict(options))
    raise ConfigRefused(field, 'must be a name or {"name": ..., "options": {...}}, or a list of these')
