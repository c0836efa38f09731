"""Every way an agent's file, a session's config or a provider can be wrong; raised all over this package.

PipelineError
├── AgentFileError       a user's agent file cannot be used: says which file, which line and what to change
├── AgentFault           the same fault before its file is known
├── ToolFault            a function cannot serve as a tool
├── ConfigRefused        a session asked for something its agent does not let it choose
├── UnreadableCheckpoint a conversation's checkpoint is corrupt or of an unknown version
├── ProviderError        a speech or brain provider cannot be used as asked
│   ├── UnknownProvider  there is no provider of this name
│   ├── BadList          a list of providers is none, or names one twice or one that it does not have
│   ├── MissingKey       the provider needs an environment variable that is not set
│   └── BadOption        an option is unknown, of a wrong type, or missing
"""

import traceback
from collections.abc import Iterable
from pathlib import Path


class PipelineError(Exception):
    """Base of all."""


class AgentFault(PipelineError):
    """An agent's definition is wrong in one field.

    Args:
        field: The argument of `Agent` at fault; empty when it is none of them.
        problem: What is wrong, as the end of a sentence.
        remedy: What to change, as a sentence.
        line: Line in the agent's file, 1-based, when it is known better than by the field.
    """

    def __init__(self, field: str, problem: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.field, self.problem, self.remedy, self.line = field, problem, remedy, line


class AgentFileError(PipelineError):
    """A user's agent file cannot be used; the message is meant for its author.

    Args:
        path: The file, or the folder when no file is to blame.
        line: Line of the fault, 1-based, if known.
        problem: What is wrong.
        remedy: What to change.
    """

    def __init__(self, path: Path, line: int | None, problem: str, remedy: str) -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {problem}. {remedy}")
        self.path, self.line, self.problem, self.remedy = path, line, problem, remedy


class ToolFault(PipelineError):
    """A function cannot serve as a tool.

    Args:
        tool: The function's name.
        problem: What is wrong, as the end of a sentence.
        remedy: What to change, as a sentence.
        line: Line of the function in its file, 1-based, if known.
    """

    def __init__(self, tool: str, problem: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"tool {tool!r} {problem}. {remedy}")
        self.tool, self.problem, self.remedy, self.line = tool, problem, remedy, line


class ConfigRefused(PipelineError):
    """A session asked for something its agent does not let it choose.

    Args:
        field: The name in the session's config.
        why: What is wrong with it, as the end of a sentence.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"config: {field!r} {why}")
        self.field = field


class UnreadableCheckpoint(PipelineError):
    """A conversation's checkpoint is corrupt or of an unknown version.

    Args:
        why: What is wrong with it, as the end of a sentence; never what is in it.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"the checkpoint cannot be read: {why}")


class ProviderError(PipelineError):
    """A speech or brain provider cannot be used as asked."""


class UnknownProvider(ProviderError):
    """There is no provider of this name.

    Args:
        kind: "stt", "llm" or "tts".
        name: What was asked for.
        known: The names that exist for this kind.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no {kind} provider {name!r}; known: {', '.join(sorted(known))}")
        self.kind, self.name = kind, name


class BadList(ProviderError):
    """A list of providers can't be used.

    Args:
        kind: "stt", "llm" or "tts".
        why: What is wrong with it, as the end of a sentence.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f'the list of {kind} providers {why}; write it like "groq, openai, local"')
        self.kind = kind


class MissingKey(ProviderError):
    """The provider needs an environment variable that is not set.

    Args:
        kind: "stt", "llm" or "tts".
        name: The provider.
        variable: The environment variable it needs.
    """

    def __init__(self, kind: str, name: str, variable: str) -> None:
        super().__init__(
            f"the {kind} provider {name!r} needs {variable}: set it in the environment or in .env, "
            f"or choose another provider"
        )
        self.kind, self.name, self.variable = kind, name, variable


class BadOption(ProviderError):
    """An option of a provider is unknown, of a wrong type, or missing.

    Args:
        kind: "stt", "llm" or "tts".
        name: The provider.
        option: The option at fault.
        why: What is wrong with it, as the end of a sentence; never its value.
        allowed: The options this provider takes.
    """

    def __init__(self, kind: str, name: str, option: str, why: str, allowed: Iterable[str]) -> None:
        options = ", ".join(sorted(allowed)) or "none"
        super().__init__(f"the {kind} provider {name!r}: option {option!r} {why}; its options: {options}")
        self.kind, self.name, self.option = kind, name, option


def line_in(path: Path, error: BaseException) -> int | None:
    """The last line of an author's file that an error passed through, 1-based; None when it passed through none."""
    own = path.resolve()
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == own]
    return lines[-1] if lines else None
