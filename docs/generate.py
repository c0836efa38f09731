"""Writes docs/settings.md and docs/api.md from the code and the texts in docs/templates; `make docs` runs it.

A template is Markdown with marks between double braces, each of which names what is put in its place.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from cli.up.settings import UpSettings
from dispatcher.access.access import Access
from dispatcher.api.errors import PASSES, STATUS
from dispatcher.app import create_app
from dispatcher.settings import DispatcherSettings
from pipeline.settings import PipelineSettings
from session.settings import CallLimits, Connections
from worker.settings import WorkerSettings, default_slots

DOCS = Path(__file__).resolve().parent
SECTIONS: Mapping[str, type] = {
    "connections": Connections,
    "call limits": CallLimits,
    "dispatcher": DispatcherSettings,
    "worker": WorkerSettings,
    "pipeline": PipelineSettings,
    "up": UpSettings,
}
UNITS = ("Seconds", "Megabytes")  # a setting's text begins with its unit where it has one
KINDS: Mapping[str, str] = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "object",
    "array": "list", "null": "null",
}  # fmt: skip
MARK = re.compile(r"\{\{ (.+?) \}\}")


class Undocumented(Exception):
    """A template and the code don't agree; the message says where."""


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with --check only compare them; the exit status.

    Args:
        arguments: of the command line.

    Returns:
        1 where a page can't be made, or --check finds one stale; else 0.
    """
    try:
        made = {"settings.md": settings_page(), "api.md": api_page()}
    except Undocumented as error:
        print(f"docs: {error}", file=sys.stderr)
        return 1
    stale = [name for name, text in made.items() if not (DOCS / name).exists() or _read(DOCS / name) != text]
    if "--check" in arguments:
        for name in stale:
            print(f"docs: docs/{name} is stale: run `make docs` and commit it", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(made[name], "utf-8")
        print(f"docs: wrote docs/{name}")
    return 0


def filled(template: str, replace: Callable[[str], str]) -> str:
    """`template` with each mark replaced by what `replace` makes of it."""
    return MARK.sub(lambda mark: replace(mark[1]), template)


def settings_page() -> str:
    """docs/settings.md. Raises Undocumented."""
    done: set[str] = set()

    def section(name: str) -> str:
        if name not in SECTIONS:
            raise Undocumented(f"docs/templates/settings.md asks for {name!r}; there is: {', '.join(SECTIONS)}")
        rows = [row for row in setting_rows(SECTIONS[name]) if row[0] not in done]
        done.update(row[0] for row in rows)
        return table(("setting", "value", "default", "meaning"), rows)

    page = filled(_read(DOCS / "templates" / "settings.md"), section)
    missing = {row[0] for cls in SECTIONS.values() for row in setting_rows(cls)} - done
    if missing:
        raise Undocumented(f"docs/templates/settings.md leaves out {', '.join(sorted(missing))}")
    return page


def setting_rows(cls: type) -> list[tuple[str, str, str, str]]:
    """Variable, kind, default and meaning of each setting of a class. Raises Undocumented."""
    texts = {name: text for each in reversed(cls.__mro__) for name, text in docstrings(each).items()}
    rows = []
    for name, variables, kind, default in _of_model(cls) if issubclass(cls, BaseModel) else _of_dataclass(cls):
        if name not in texts:
            raise Undocumented(f"{cls.__name__}.{name} has no docstring")
        text = texts[name]
        unit = next((unit.lower() for unit in UNITS if text.startswith(unit)), None)
        also = "".join(f" Also read from `{other}`." for other in variables[1:])
        rows.append((f"`{variables[0]}`", f"{kind} ({unit})" if unit else kind, default, text + also))
    return rows


def docstrings(cls: type) -> dict[str, str]:
    """The text under each annotated field in the source of `cls`; none for a class without source of its own."""
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):
        return {}
    body = next((node.body for node in ast.parse(_dedented(source)).body if isinstance(node, ast.ClassDef)), [])
    found = {}
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                found[name] = said
    return found


def api_page() -> str:
    """docs/api.md. Raises Undocumented."""
    schema = create_schema()
    routes = {
        f"{method.upper()} {path}": route for path, ways in schema["paths"].items() for method, route in ways.items()
    }
    codes = {code: status for status, code in STATUS.values()}
    shown: set[str] = set()

    def block(mark: str) -> str:
        if mark == "errors":
            return table(("code", "status", "`Retry-After`", "sentence"), sorted(_error_rows()))
        if mark.startswith("errors "):
            return f"Errors: {', '.join(_with_status(code, codes) for code in mark.split()[1:])}."
        if mark not in routes:
            raise Undocumented(f"docs/templates/api.md asks for {mark!r}, which is no route")
        shown.add(mark)
        return _route(routes[mark], schema)

    page = filled(_read(DOCS / "templates" / "api.md"), block)
    if set(routes) - shown:
        raise Undocumented(f"docs/templates/api.md leaves out {', '.join(sorted(set(routes) - shown))}")
    return page


def create_schema() -> dict[str, Any]:
    """The app's OpenAPI schema."""
    settings = DispatcherSettings.model_construct(livekit_api_key="", livekit_api_secret=SecretStr(""))
    nothing: Any = None  # the routes are only described: nothing is called
    return create_app(nothing, nothing, settings, nothing, Access(nothing, nothing, nothing)).openapi()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _route(route: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Description, parameters, body and answer of a route."""
    parts = [re.sub(r" Raises \w+\.", "", route.get("description", "").split("\n\n")[0])]
    parameters = [
        (f"`{each['name']}`", each["in"], kind_of(each["schema"], schema), each.get("description", ""))
        for each in route.get("parameters", ())
        if each["in"] != "path"
    ]
    if parameters:
        parts.append(table(("parameter", "in", "type", "meaning"), parameters))
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        parts.append("Body:\n\n" + table(("field", "type", "meaning"), list(field_rows(body, schema))))
    status, response = next(iter(route["responses"].items()))
    rows = list(field_rows(response.get("content", {}).get("application/json", {}).get("schema", {}), schema))
    if rows:
        parts.append(f"Answer, {status}:\n\n" + table(("field", "type", "meaning"), rows))
    return "\n\n".join(part for part in parts if part)


def field_rows(kind: Mapping[str, Any], schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each field of an object, those of the objects in it after it. Raises Undocumented."""
    resolved = _object(kind, schema)
    required = resolved.get("required", ())
    for name, field in resolved.get("properties", {}).items():
        full = f"{prefix}{name}"
        # FastAPI keeps no description beside a reference: the object's own stands for it.
        description = field.get("description", _object(field, schema).get("description") if "$ref" in field else None)
        if description is None:
            raise Undocumented(f"the field {full} of {resolved.get('title')} has no docstring")
        text = kind_of(field, schema)
        optional = name not in required and name != "success" and "null" not in text
        yield f"`{full}`", f"{text}, optional" if optional else text, description
        inner = field.get("items", field)
        if _object(inner, schema).get("properties"):
            yield from field_rows(inner, schema, f"{full}[]." if "items" in field else f"{full}.")


def kind_of(kind: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The type of a field in words."""
    if "anyOf" in kind:
        return " or ".join(kind_of(each, schema) for each in kind["anyOf"])
    if "$ref" in kind:
        return kind_of(_object(kind, schema), schema)
    if "enum" in kind:
        return "one of " + ", ".join(f"`{each}`" for each in kind["enum"])
    text = KINDS[kind.get("type", "object")]
    if "maximum" in kind:
        return f"{text}, {kind.get('minimum', 0)} to {kind['maximum']}"
    if "maxLength" in kind:
        return f"{text}, at most {kind['maxLength']} characters"
    return text


def _object(kind: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that `kind` names, directly or as the one alternative that is an object of ours; else `kind`."""
    for each in (kind, *kind.get("anyOf", ()), *kind.get("allOf", ())):
        if "$ref" in each:
            found: Mapping[str, Any] = schema["components"]["schemas"][each["$ref"].rpartition("/")[2]]
            return found
    return kind


def _error_rows() -> Iterator[tuple[str, str, str, str]]:
    for error, (status, code) in STATUS.items():
        yield f"`{code}`", str(status), "yes" if status in PASSES else "", str(error())


def _with_status(code: str, codes: Mapping[str, int]) -> str:
    if code not in codes:
        raise Undocumented(f"docs/templates/api.md names {code!r}, which is no code of dispatcher/api/errors.py")
    return f"{codes[code]} `{code}`"


def _of_model(cls: type[BaseModel]) -> Iterator[tuple[str, list[str], str, str]]:
    """Name, variables, kind and default of each field of a pydantic model."""
    for name, field in cls.model_fields.items():
        alias = field.validation_alias
        variables = [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]
        yield name, variables, _kind(field.annotation), _default(field)


def _of_dataclass(cls: type) -> Iterator[tuple[str, list[str], str, str]]:
    """The same of a dataclass whose fields name their variables."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        yield field.name, list(field.metadata["names"]), _kind(hints[field.name]), _shown(field.default)


def _kind(annotation: Any) -> str:
    """A setting's type in words."""
    kinds = [each for each in get_args(annotation) or (annotation,) if each not in (type(None), Ellipsis)]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{each}`" for each in kinds)
    if get_origin(annotation) is tuple:
        return "list, separated by commas"
    if get_origin(annotation) is dict:
        return "JSON object"
    words = {bool: "0 or 1", int: "whole number", float: "number", SecretStr: "text, secret", Path: "path"}
    return words.get(kinds[0], "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    if field.default_factory is default_slots:
        return "4 a core"
    return _shown(field.get_default(call_default_factory=True))


def _shown(value: Any) -> str:
    """A default as it is written in an environment."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return f"`{int(value)}`"
    return f"`{value:.10g}`" if isinstance(value, float) else f"`{value}`"


def _read(path: Path) -> str:
    return path.read_text("utf-8")


def _dedented(source: str) -> str:
    return inspect.cleandoc("\n" + source)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
