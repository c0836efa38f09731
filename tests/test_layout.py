"""Rules of the code's shape that no linter knows: sizes, docstrings, mirrored tests, single importers."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("greenroom", "runtime", "session", "pipeline", "worker", "dispatcher", "client", "cli", "agent_tests")
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60
TINY_LINES = 40  # a `__main__` of at most so many lines only puts together what has tests of its own

# Modules that keep one contract, which one file of tests holds all of them to.
TESTED_TOGETHER = {
    "dispatcher/access/access.py": "tests/dispatcher/api/test_access.py",
    "dispatcher/access/refusals.py": "tests/dispatcher/api/test_access.py",
    "dispatcher/access/command.py": "tests/dispatcher/test_main_access.py",
    "dispatcher/access/key_store.py": "tests/dispatcher/test_main_access.py",
    "dispatcher/api/audit.py": "tests/dispatcher/api/test_fleet.py",
    "dispatcher/api/session_answers.py": "tests/dispatcher/api/test_schemas.py",
    "dispatcher/api/examples.py": "tests/dispatcher/api/test_openapi.py",
    "session/store/ports.py": "tests/session/store/test_contract.py",
    "session/store/redis/circuits.py": "tests/session/store/test_contract_circuit.py",
    "session/store/redis/connection.py": "tests/session/store/redis/test_store.py",
    "client/operator.py": "tests/cli/test_operate.py",
    "pipeline/local/brain_settings.py": "tests/pipeline/local/rule_brain/test_service.py",
    "session/store/orders.py": "tests/session/store/test_contract_orders.py",
    "session/store/redis/orders.py": "tests/session/store/test_contract_orders.py",
    "session/store/redis/pool.py": "tests/session/store/test_contract_lists.py",
    "session/store/redis/sessions.py": "tests/session/store/test_contract.py",
    "session/store/redis/watch.py": "tests/session/store/test_contract_watch.py",
    "pipeline/providers/*.py": "tests/pipeline/providers/test_providers.py",
    "greenroom/__init__.py": "tests/pipeline/agents/test_files.py",
    "agent_tests/cases.py": "tests/agent_tests/test_run.py",
    "agent_tests/errors.py": "tests/agent_tests/test_run.py",
    "agent_tests/yaml_nodes.py": "tests/agent_tests/test_yaml_form.py",
    "agent_tests/speech/call.py": "tests/agent_tests/speech/test_system.py",
    "greenroom/testing/__init__.py": "tests/agent_tests/test_python_form.py",
    "greenroom/testing/marks.py": "tests/agent_tests/test_python_form.py",
    "greenroom/testing/caller.py": "tests/greenroom/testing/test_text.py",
    "greenroom/testing/script.py": "tests/greenroom/testing/test_text.py",
    "greenroom/testing/stand_ins.py": "tests/greenroom/testing/test_settling.py",
    "pipeline/talk/services.py": "tests/pipeline/talk/test_conversation.py",
    "cli/up/started.py": "tests/cli/test_demo.py",
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


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(path: Path) -> int:
    return len((ROOT / path).read_text("utf-8").splitlines())


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_file_is_too_long():
    assert {str(path): lines(path) for path in ALL if lines(path) > MOST_LINES} == {}


def test_no_function_is_too_long():
    long = {
        f"{path}:{each.lineno} {each.name}": length(each)
        for path in ALL
        for each in functions(path)
        if length(each) > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_every_module_says_in_one_sentence_what_it_is_for():
    unsaid = []
    for path in ALL:
        if path.parts[0] != "tests" and path.name != "__init__.py":
            first = (ast.get_docstring(tree(path)) or "").split("\n\n")[0]
            if not first.endswith(".") or re.search(r"[.!?]\s+[A-Z]", first):
                unsaid.append(str(path))
    assert unsaid == []


def has_tests(path: Path) -> bool:
    name = path.stem.strip("_")
    if path.name == "__init__.py":
        if not any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ImportFrom) for node in tree(path).body):
            return True
        name = path.parent.name
    if path.name == "__main__.py" and lines(path) <= TINY_LINES:
        return True
    together = next((test for pattern, test in TESTED_TOGETHER.items() if path.match(pattern)), "nowhere")
    return (ROOT / "tests" / path.parent / f"test_{name}.py").is_file() or (ROOT / together).is_file()


def test_every_module_has_its_test_file():
    assert [str(path) for path in OURS if not has_tests(path)] == []


def test_a_task_is_started_in_one_way():
    starts = ("create_task", "ensure_future", "TaskGroup", "run_coroutine_threadsafe")
    bare = [
        f"{path}:{node.lineno}"
        for path in modules(*PACKAGES, "agents", "bench")
        if str(path) != "runtime/background.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.Name) and getattr(node, "attr", getattr(node, "id", "")) in starts
    ]
    assert bare == []


def test_no_product_code_imports_tests_or_benches():
    assert importers(modules(*PACKAGES, "agents"), "tests") | importers(modules(*PACKAGES, "agents"), "bench") == set()
    assert importers(modules("bench"), "tests") == set()


def test_one_file_speaks_to_the_store():
    assert importers(OURS, "redis") <= {"session/store/redis/connection.py"}


def test_one_file_speaks_to_the_api_of_livekit():
    assert importers(modules("runtime", "session", "pipeline", "worker", "dispatcher"), "livekit.api") <= {
        "dispatcher/livekit/rooms.py"
    }


# What livekit-agents keeps private, what its SDK does, and what CPython's multiprocessing does.
TOUCHING_PRIVATE_NAMES = ("pool.py", "native.py", "children.py")


def is_private(node):
    """Whether this is an attribute of something else that its owner keeps private."""
    if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.endswith("__"):
        return False
    return not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "os"))


def test_three_files_touch_what_libraries_keep_private():
    touched = []
    for path in modules("worker"):
        if path.name not in TOUCHING_PRIVATE_NAMES:
            touched += [f"{path} {ast.unparse(node)}" for node in ast.walk(tree(path)) if is_private(node)]
            touched += [f"{path} {name}" for name in imported(path) if re.match(r"livekit\..*\._[a-z]", name)]
    assert touched == []


def test_the_dispatcher_loads_no_media():
    heavy = ("livekit.rtc", "livekit.agents", "pipecat", "pipeline", "worker", "onnxruntime")
    script = f"import sys, dispatcher.app; print([name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert loaded.stderr == ""
    assert loaded.stdout.strip() == "[]"
