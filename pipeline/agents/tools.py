"""An agent's tools: typed async functions that the LLM is told about and that conversation.py registers with it.

The function's name is the tool's name, its docstring the description (an Args: section describes the arguments), its
annotations the schema. Pipecat's own direct functions are not used: they know neither Literal nor Enum, check nothing
that a model sends, and would put Pipecat's types into the signature of every user's function.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_jsonable_python

from pipeline.agents.tool_step import ToolStep
from pipeline.errors import ToolFault
from pipeline.resume.journal import Journal
from runtime.background import report

if TYPE_CHECKING:
    from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
    from pipecat.frames.frames import FunctionCallFromLLM
    from pipecat.services.llm_service import FunctionCallParams, LLMService

logger = logging.getLogger(__name__)

ToolFunction = Callable[..., Awaitable[object]]
_F = TypeVar("_F", bound=ToolFunction)
_REPEATABLE = "__greenroom_repeatable__"


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone call.

    Attributes:
        from_number: The number of who called, as LiveKit's SIP service has it; empty where it is withheld.
        to_number: The number that was called.
        call_id: LiveKit's id of the call, for its SIP service.
    """

    from_number: str
    to_number: str
    call_id: str


@dataclass(slots=True)
class Call:
    """The call a tool runs in. A tool that takes a parameter annotated with this gets it; the LLM never sees it.

    Attributes:
        session_id: The session's id.
        agent: The agent's name.
        end: Ends the call once the agent has said what it is about to say; returns at once.
        phone: The telephone call, once its caller is there; None for a page.
    """

    session_id: str
    agent: str
    end: Callable[[], Awaitable[None]]
    phone: Phone | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function as the LLM knows it.

    Attributes:
        name: The function's name.
        description: The docstring without its sections.
        properties: JSON schema of each argument.
        required: Arguments without a default.
        function: What runs.
        arguments: Checks and converts what a model sends.
        call_parameter: Name of the parameter that takes the `Call`; None if there is none.
        repeatable: Running it twice does no harm.
    """

    name: str
    description: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]
    function: ToolFunction
    arguments: type[BaseModel]
    call_parameter: str | None
    repeatable: bool


def repeatable(function: _F) -> _F:
    """Mark a tool that may run twice without harm, such as a look-up, so that an agent taking over may repeat it."""
    setattr(function, _REPEATABLE, True)
    return function


async def end_call(call: Call) -> str:
    """End the call. Use it when the caller says goodbye or has nothing more to ask."""
    await call.end()
    return "The call ends after your next words. Say goodbye in one short sentence."


def describe(function: ToolFunction) -> Tool:
    """Read a tool from its function.

    Args:
        function: A typed async function with a docstring.

    Returns:
        The tool.

    Raises:
        ToolFault: It isn't one; says what to change.
    """
    name = getattr(function, "__name__", repr(function))
    line = _line(function)
    if not inspect.iscoroutinefunction(function):
        raise ToolFault(name, "is not an async function", "Write it as: async def name(...)", line)
    text = docstring_parser.parse(inspect.getdoc(function) or "")
    description = (text.description or "").strip()
    if not description:
        raise ToolFault(name, "has no docstring", "Say in it what the tool does and when to use it", line)
    hints = _hints(function, name, line)
    described = {param.arg_name: param.description for param in text.params}
    call_parameter = None
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        _check_parameter(parameter, hints, name, line)
        if hints[parameter.name] is Call:
            call_parameter = parameter.name
            continue
        missing = parameter.default is inspect.Parameter.empty
        default = ... if missing else parameter.default
        fields[parameter.name] = (
            hints[parameter.name],
            Field(default, description=described.get(parameter.name), validation_alias=parameter.name),
        )
    model, schema = _model(name, fields, line)
    return Tool(
        name=name,
        description=description,
        properties=schema.get("properties", {}),
        required=tuple(schema.get("required", ())),
        function=function,
        arguments=model,
        call_parameter=call_parameter,
        repeatable=getattr(function, _REPEATABLE, False),
    )


def _line(function: ToolFunction) -> int | None:
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if code is not None else None


def _hints(function: ToolFunction, name: str, line: int | None) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ToolFault(
            name, f"has an annotation that cannot be read ({error})", "Import the type it names", line
        ) from error


def _check_parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], name: str, line: int | None) -> None:
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise ToolFault(name, f"takes *{parameter.name}", "Name each argument, as the LLM must know them", line)
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise ToolFault(name, f"takes {parameter.name!r} by position only", "Remove the /", line)
    if parameter.name not in hints:
        raise ToolFault(
            name,
            f"has no type for its argument {parameter.name!r}",
            f"Annotate it, for example {parameter.name}: str",
            line,
        )


def _model(name: str, fields: dict[str, Any], line: int | None) -> tuple[type[BaseModel], dict[str, Any]]:
    try:
        # Models sometimes send arguments of their own invention: dropped rather than a reason to fail.
        config = ConfigDict(extra="ignore", hide_input_in_errors=True, protected_namespaces=())
        # Fields get neutral names: an argument called "json" or "_x" must not meet pydantic's own attributes.
        numbered = {f"argument_{number}": field for number, field in enumerate(fields.values())}
        model: type[BaseModel] = create_model(name, __config__=config, **numbered)
        schema = model.model_json_schema(by_alias=True, mode="validation")
        return model, _plain(schema, schema.get("$defs", {}), ())
    except (PydanticUserError, TypeError, RecursionError) as error:
        raise ToolFault(
            name,
            "has an argument of a type that JSON cannot carry",
            "Use str, int, float, bool, Literal, Enum, list, dict, Optional or a pydantic model",
            line,
        ) from error


def _plain(node: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """Inline references and drop the titles pydantic adds: several LLMs take neither."""
    if isinstance(node, list):
        return [_plain(item, definitions, inside) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        if name in inside:
            raise RecursionError(name)
        node = {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}
        return _plain(node, definitions, (*inside, name))
    plain = {}
    for key, value in node.items():
        if key == "properties":
            plain[key] = {name: _plain(item, definitions, inside) for name, item in value.items()}
        elif key in ("default", "const", "enum"):
            plain[key] = value
        elif key not in ("title", "$defs"):
            plain[key] = _plain(value, definitions, inside)
    return plain


async def run(tool: Tool, arguments: Mapping[str, Any], call: Call, timeout: float) -> Any:
    """Run a tool for the LLM. Never raises but for cancellation; a failure is a result the LLM can speak about.

    Args:
        tool: The tool.
        arguments: As the model sent them.
        call: The call it runs in.
        timeout: Seconds it may take.

    Returns:
        What the function returned, as JSON can carry it; or {"error": ...}.
    """
    if not isinstance(arguments, Mapping):
        return {"error": f"The arguments of {tool.name} must be an object."}
    try:
        checked = tool.arguments.model_validate(dict(arguments))
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        faults = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in wrong)
        return {"error": f"Wrong arguments for {tool.name}: {faults}."}
    names = (info.validation_alias for info in tool.arguments.model_fields.values())
    given: dict[str, Any] = {
        str(name): getattr(checked, field) for name, field in zip(names, tool.arguments.model_fields, strict=True)
    }
    if tool.call_parameter is not None:
        given[tool.call_parameter] = call
    deadline = asyncio.timeout(timeout)
    try:
        async with deadline:
            return _sayable(await tool.function(**given))
    except PydanticSerializationError as error:
        logger.error("tool %s returned what JSON cannot carry (%s)", tool.name, type(error).__name__)
        return {"error": f"The tool {tool.name} failed."}
    except Exception as error:  # noqa: BLE001 - a user's function ends here; the call goes on
        if deadline.expired():
            logger.warning("tool %s took longer than %g s", tool.name, timeout)
            return {"error": f"The tool {tool.name} took too long and was stopped."}
        report(call.session_id, f"tool {tool.name}", error)
        return {"error": f"The tool {tool.name} failed."}


def _sayable(result: object) -> Any:
    value = to_jsonable_python(result)
    # Pipecat 1.14 tells the LLM "COMPLETED" for anything falsy; 0 and [] are answers.
    return {"result": value} if value is not None and not value else value


def tools_schema(tools: Sequence[Tool]) -> ToolsSchema | None:
    """What the LLM is told about the tools.

    Args:
        tools: The agent's.

    Returns:
        Pipecat's schema; None when there are none.
    """
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
    from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

    if not tools:
        return None
    return ToolsSchema(
        [FunctionSchema(tool.name, tool.description, dict(tool.properties), list(tool.required)) for tool in tools]
    )


def register_tools(llm: LLMService, tools: Sequence[Tool], call: Call, journal: Journal, *, timeout: float) -> None:
    """Let an LLM run the tools.

    Args:
        llm: The LLM of this call.
        tools: The agent's.
        call: Handed to the tools that ask for it.
        journal: Where each tool call is written down.
        timeout: Seconds each may take.
    """
    step, names = ToolStep(), {tool.name for tool in tools}

    async def begun(_: LLMService, calls: Sequence[FunctionCallFromLLM]) -> None:
        step.begin(each.tool_call_id for each in calls if each.function_name in names)

    # Pipecat starts this before the tools, and it waits for nothing: each of them finds its step begun.
    llm.add_event_handler("on_function_calls_started", begun)
    for tool in tools:
        llm.register_function(tool.name, _handler(tool, call, journal, step, timeout))


def _handler(
    tool: Tool, call: Call, journal: Journal, step: ToolStep, timeout: float
) -> Callable[[FunctionCallParams], Awaitable[None]]:
    from pipecat.frames.frames import FunctionCallResultProperties

    async def handle(params: FunctionCallParams) -> None:
        try:
            await journal.begin(params.tool_call_id, tool.name, params.arguments, repeatable=tool.repeatable)
            result = await run(tool, params.arguments, call, timeout)
        except asyncio.CancelledError:
            journal.cancelled(params.tool_call_id)
            step.cancelled(params.tool_call_id)
            raise
        journal.end(params.tool_call_id, result)
        told, ask = step.end(params.tool_call_id, result)
        await params.result_callback(told, properties=FunctionCallResultProperties(run_llm=ask))

    return handle
