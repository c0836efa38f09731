"""Rules of the code's shape that no linter knows: sizes, docstrings, mirrored tests, single importers."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("greenroom", "runtime", "session", "pipeline", "worker", "dispatcher", "client", "cli")
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60
TINY_LINES = 40  # a `__main__` of at most so many lines only puts together what has tests of its own

# Modules that keep one contract, which one file of tests holds all of them to.
TESTED_TOGETHER = {
    "session/store/ports.py": "tests/session/store/test_contract.py",
    "session/store/redis/circuits.py": "tests/session/store/test_contract_circuit.py",
    "session/store/redis/connection.py": "tests/session/store/redis/test_store.py",
    "session/store/redis/pool.py": "tests/session/store/test_contract_lists.py",
    "session/store/redis/sessions.py": "tests/session/store/test_contract.py",
    "session/store/redis/watch.py": "tests/session/store/test_contract_watch.py",
    "pipeline/providers/*.py": "tests/pipeline/providers/test_providers.py",
    "greenroom/__init__.py": "tests/pipeline/agents/test_files.py",
    "worker/process/warm.py": "tests/worker/process/test_preload.py",
}


def modules(*folders: str) -> list[Path]:
    """Every Python file in `folders`, relative to the repository."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


OURS = modules(*PACKAGES)
ALL = modules(*PACKAGES, "agents", "bench", "tests")


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """Full names of everything that `path` imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def importers(paths: list[Path], module: str) -> set[str]:
    """Those of `paths` that import `module` or something in it."""
    return {str(path) for path in paths if any(f"{name}.".startswith(f"{module}.") for name in imported(path))}


@pytest.mark.parametrize("path", ALL, ids=str)
def test_no_file_and_no_function_is_too_long(path):
    assert len((ROOT / path).read_text("utf-8").splitlines()) <= MOST_LINES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MOST_LINES_OF_A_FUNCTION, f"{node.name} is too long"


@pytest.mark.parametrize("path", [p for p in ALL if p.parts[0] != "tests" and p.name != "__init__.py"], ids=str)
def test_every_module_says_in_one_sentence_what_it_is_for(path):
    said = ast.get_docstring(tree(path))
    assert said, "no docstring"
    first = said.split("\n\n")[0]
    assert first.endswith("."), "its first paragraph is no sentence"
    assert not re.search(r"[.!?]\s+[A-Z]", first), "its first paragraph is more than a sentence"


@pytest.mark.parametrize("path", OURS, ids=str)
def test_every_module_has_its_test_file(path):
    name = path.stem.strip("_")
    if path.name == "__init__.py":
        if not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree(path).body):
            return
        name = path.parent.name
    if path.name == "__main__.py" and len((ROOT / path).read_text("utf-8").splitlines()) <= TINY_LINES:
        return
    expected = Path("tests", path.parent, f"test_{name}.py")
    together = next((test for pattern, test in TESTED_TOGETHER.items() if path.match(pattern)), None)
    assert (ROOT / expected).is_file() or (together and (ROOT / together).is_file()), f"{expected} is missing"


def test_one_file_speaks_to_the_store():
    assert importers(OURS, "redis") <= {"session/store/redis/connection.py"}


def test_one_file_speaks_to_the_api_of_livekit():
    assert importers(modules("session", "pipeline", "worker", "dispatcher"), "livekit.api") <= {
        "dispatcher/livekit/rooms.py"
    }


# What livekit-agents keeps private, and what its SDK does.
TOUCHING_PRIVATE_NAMES = ("pool.py", "native.py")


@pytest.mark.parametrize("path", [p for p in modules("worker") if p.name not in TOUCHING_PRIVATE_NAMES], ids=str)
def test_two_files_touch_what_livekit_keeps_private(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "os")
            assert own, f"line {node.lineno}: {ast.unparse(node)}"
    assert not [name for name in imported(path) if re.match(r"livekit\..*\._[a-z]", name)]


def test_the_dispatcher_loads_no_media():
    heavy = ("livekit.rtc", "livekit.agents", "pipecat", "pipeline", "worker", "onnxruntime")
    script = f"import sys, dispatcher.app; print([name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert loaded.stderr == ""
    assert loaded.stdout.strip() == "[]"
