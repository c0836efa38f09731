"""Where livekit-server comes from."""

import ast
import os
import sys
from pathlib import Path

import pytest

from cli.setup import livekit_binary
from cli.setup.livekit_binary import LivekitMissing, cached, found, provide
from cli.setup.steps import StepFailed


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path):
    """A machine with an empty PATH and an empty cache."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "GREENROOM_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}


BUILDS = 'printf "#!/bin/sh\\n" >"$GOBIN/server"; chmod +x "$GOBIN/server"'
FILLS_ITS_CACHES = 'for cache in "${GOPATH:-$HOME/go}" "${GOCACHE:-$HOME/built}"; do mkdir -p "$cache"; done'


def go(version: str, builds: str = BUILDS) -> str:
    """A Go of this version; what it does when it is asked to install."""
    return f'PATH=/bin:/usr/bin; case "$1" in env) echo {version} ;; install) {builds} ;; esac'


def test_the_one_that_is_set_wins(environment, tmp_path):
    program(tmp_path / "bin" / "livekit-server")
    mine = program(tmp_path / "mine")
    assert found({**environment, "LIVEKIT_SERVER_BIN": str(mine)}) == mine


def test_the_one_on_path_wins_over_the_cache(environment, tmp_path):
    program(cached(environment))
    on_path = program(tmp_path / "bin" / "livekit-server")
    assert found(environment) == on_path


def test_the_cache_is_the_last_place(environment):
    kept = program(cached(environment))
    assert found({**environment, "LIVEKIT_SERVER_BIN": ""}) == kept


def test_none_at_all_says_what_can_be_done(environment):
    with pytest.raises(LivekitMissing, match=r"make setup.*LIVEKIT_SERVER_BIN.*PATH.*Go 1\.26"):
        found(environment)


@pytest.mark.parametrize("look", [found, lambda environment: provide(environment, "uv")])
def test_a_wrong_setting_is_an_error_and_not_a_reason_to_build(environment, tmp_path, look):
    with pytest.raises(LivekitMissing, match="LIVEKIT_SERVER_BIN is /nowhere"):
        look({**environment, "LIVEKIT_SERVER_BIN": "/nowhere"})


def test_the_cache_is_where_the_user_keeps_such_things(tmp_path):
    assert cached({"XDG_CACHE_HOME": str(tmp_path)}).parent == tmp_path / "greenroom"
    assert cached({"GREENROOM_CACHE": str(tmp_path)}).parent == tmp_path
    assert livekit_binary.VERSION in cached({}).name


def test_a_new_enough_go_builds_it_into_the_cache(environment, tmp_path):
    program(tmp_path / "bin" / "go", go("go1.26.0"))
    assert provide(environment, "/no-uv-needed") == cached(environment)
    assert os.access(cached(environment), os.X_OK)
    assert list(cached(environment).parent.iterdir()) == [cached(environment)]


def test_what_is_there_is_not_built_again(environment, tmp_path):
    program(tmp_path / "bin" / "go", go("go1.26.0", builds="exit 9"))
    program(cached(environment))
    assert provide(environment, "/no-uv-needed") == cached(environment)


@pytest.mark.parametrize("version", ["go1.25.9", "devel", "go1.9.1"])
def test_an_old_go_is_passed_over_for_the_packaged_one(environment, tmp_path, version):
    program(tmp_path / "bin" / "go", go(version, builds="exit 9"))
    # It "installs" a Go by writing one into the venv that it was asked to make.
    text = go("go1.27.3", f"{BUILDS}; {FILLS_ITS_CACHES}").replace("'", "'\\''")
    uv = program(
        tmp_path / "uv",
        'PATH=/bin:/usr/bin; if [ "$1" = venv ]; then for last; do :; done; mkdir -p "$last/bin"; '
        f"printf '#!/bin/sh\\n%s\\n' '{text}' >\"$last/bin/go\"; chmod +x \"$last/bin/go\"; fi",
    )
    assert provide(environment, uv) == cached(environment)
    assert os.access(cached(environment), os.X_OK)
    assert [path.name for path in tmp_path.rglob("*") if path.name in ("go", "packages", "compiled", "built")] == ["go"]
    assert list(cached(environment).parent.iterdir()) == [cached(environment)]


def test_a_build_that_fails_leaves_nothing_and_says_what_to_do(environment, tmp_path):
    program(tmp_path / "bin" / "go", go("go1.26.0", builds="echo no network; exit 1"))
    with pytest.raises(StepFailed, match="LIVEKIT_SERVER_BIN"):
        provide(environment, "/no-uv-needed")
    assert list(cached(environment).parent.iterdir()) == []


@pytest.mark.parametrize("module", ["livekit_binary", "install", "steps"])
def test_the_setup_needs_only_the_standard_library(module):
    tree = ast.parse((Path(livekit_binary.__file__).parent / f"{module}.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    tops = {str(name).split(".")[0] for name in imported}
    assert tops <= sys.stdlib_module_names | {"cli"}
    assert {name for name in imported if str(name).startswith("cli")} <= {
        "cli",
        "cli.setup",
        "cli.setup.steps",
        "cli.setup.livekit_binary",
    }
