"""What a provider is: its name, its options, what it needs and which Pipecat service it becomes.

Nothing here, nor in a provider's own file, imports Pipecat before a service is made: an agent's file is checked in
processes that never run a call, and importing a speech service costs 0.3 to 2 s and tens of megabytes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr

if TYPE_CHECKING:
    from pipeline.settings import PipelineSettings

Kind = Literal["stt", "llm", "tts"]
KINDS: tuple[Kind, ...] = ("stt", "llm", "tts")


@dataclass(frozen=True)
class Provider:
    """A choice of provider: its name, and options of its own.

    Attributes:
        name: As in the table of `pipeline.providers`, for example "groq".
        options: Options by name; which ones exist depends on the provider.
    """

    name: str
    options: Mapping[str, object] = field(default_factory=dict)


class Options(BaseModel):
    """Options of a provider: every field optional, None means the provider's own default, unknown names refused.

    An address is never an option: a session may be allowed to choose options, and must not send a key elsewhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())


@dataclass(frozen=True)
class Request:
    """What a provider's service is made of.

    Attributes:
        options: Already checked.
        settings: The deployment's, keys included.
        voice: Voice to speak with; None is the provider's own. Only for tts.
        language: BCP 47 tag such as "en" or "de-AT". Not for llm.
        prompt: What the LLM is told to be. Only for llm.
    """

    options: Options
    settings: PipelineSettings
    voice: str | None = None
    language: str | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Spec:
    """One provider of one kind.

    Attributes:
        service: "module:Class" of the service, imported when it is made.
        make: Makes the service from its class, a request and this spec.
        options: The options it takes.
        needs: Fields of `PipelineSettings` that must be set.
        key: The field among them that holds the API key, if any.
        uses: Fields of `PipelineSettings` that it is reached with where they are set.
        arguments: Options that its constructor takes itself; all others go to its `Settings`.
        voice_required: It has no voice of its own, so one must be chosen.
        voice_fault: Says why a voice cannot be had, as the end of a sentence, or None if it can; None: not known here.
        voices: Names of the voices that can be had, where they are few; None: not known here.
        languages: Languages it understands (without region), where they are few; None means many.
        warm: Loads models once in a process, given the phrases that will be said first and the voice (None: its own);
            None: nothing to load.
    """

    service: str
    make: Callable[[Any, Request, Spec], Any]
    options: type[Options] = Options
    needs: tuple[str, ...] = ()
    key: str | None = None
    uses: tuple[str, ...] = ()
    arguments: frozenset[str] = frozenset()
    voice_required: bool = False
    voice_fault: Callable[[str], str | None] | None = None
    voices: Callable[[], Sequence[str]] | None = None
    languages: frozenset[str] | None = None
    warm: Callable[[Sequence[str], str | None], None] | None = None

    def load(self) -> Any:
        """Import the service's class."""
        module, _, name = self.service.partition(":")
        return getattr(importlib.import_module(module), name)


def secret(settings: PipelineSettings, name: str) -> str:
    """The key in a field of the settings; "" when it is unset, which the check before has refused where it matters."""
    value: SecretStr | None = getattr(settings, name)
    return value.get_secret_value() if value is not None else ""


def values(request: Request, spec: Spec) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort a request's options for a Pipecat service.

    Args:
        request: What is asked for.
        spec: The provider.

    Returns:
        The constructor's arguments, key included, and the fields of its `Settings`, voice, language and
        prompt included.
    """
    given = request.options.model_dump(exclude_none=True)
    arguments = {name: given.pop(name) for name in spec.arguments & given.keys()}
    if spec.key:
        arguments["api_key"] = secret(request.settings, spec.key)
    if request.voice:
        given["voice"] = request.voice
    if request.language:
        given["language"] = request.language
    if request.prompt:
        given["system_instruction"] = request.prompt
    return arguments, given


def hosted(service: Any, request: Request, spec: Spec) -> Any:
    """Make a service that runs elsewhere, the way every Pipecat 1.14 service is made: key plus `Settings`."""
    arguments, chosen = values(request, spec)
    return service(**arguments, settings=service.Settings(**chosen))


ANSWER_SHARE = 0.8  # of GREENROOM_ANSWER_SECONDS; the rest is for saying that there is no answer


def over_http(service: Any, request: Request, spec: Spec) -> Any:
    """Make a speech service that asks over plain HTTP, and let it give up in time; pipeline/fallback tries again."""
    return _impatient(hosted(service, request, spec), request.settings.provider_timeout)


def thinks_over_http(service: Any, request: Request, spec: Spec) -> Any:
    """Make an LLM that asks over plain HTTP, and let it give up while the caller still waits."""
    return in_time_for_an_answer(hosted(service, request, spec), request)


def in_time_for_an_answer(made: Any, request: Request) -> Any:
    """Let an LLM give up while the caller still waits, and be asked again by its conversation alone."""
    settings = request.settings
    return _impatient(made, min(settings.provider_timeout, settings.answer_seconds * ANSWER_SHARE))


def _impatient(made: Any, timeout: float) -> Any:
    """Let a service made over an SDK of OpenAI's kind give up after `timeout` seconds without a byte.

    The SDKs beneath would wait 600 s (openai) or 60 s (groq), try three times and sleep for as long as a Retry-After
    says, which in a call is a hang. So they try nothing again: whoever asks them does. Pipecat 1.14 passes no timeout
    on, so its client is replaced here, in the one file that names it.
    """
    made._client = made._client.with_options(timeout=timeout, max_retries=0)
    return made


async def let_go(made: Any) -> None:
    """Close a service's connections over HTTP, which Pipecat 1.14 leaves open to the end of the process.

    Args:
        made: A service as this package made it; one that has no such connections is left as it is.
    """
    close = getattr(getattr(made, "_client", None), "close", None)
    if close is not None:
        await close()
