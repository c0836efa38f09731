"""Brings a clone to where it can run: the venv with its locked packages, and livekit-server; standard library only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.setup import livekit_binary
from cli.setup.steps import StepFailed, run, say

ROOT = Path(__file__).resolve().parents[2]
UV_PACKAGE = "uv==0.13.9"  # used when no uv is on PATH; any newer one does as well
LOCKED = ("pyproject.toml", "requirements.lock")  # what decides which packages are in the venv
NETWORK = "Is a package index within reach? UV_DEFAULT_INDEX or PIP_INDEX_URL names another than the usual one."


def main(arguments: Sequence[str]) -> int:
    """Do what is missing; `arguments` may name the parts: python, livekit (both by default). The exit code."""
    environment = for_uv(os.environ)
    wanted = arguments or ("python", "livekit")
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache" / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second `make` waits for the first instead of spoiling its work
        try:
            if "python" in wanted:
                provide_packages(ROOT, environment)
            if "livekit" in wanted and not environment.get("LIVEKIT_URL"):
                provide_livekit(ROOT, environment)
        except (StepFailed, livekit_binary.LivekitMissing) as error:
            print(f"setup: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("setup: interrupted; `make setup` goes on from here", file=sys.stderr)
            return 130
    return 0


def provide_packages(root: Path, environment: Mapping[str, str]) -> None:
    """Make the venv and install exactly the locked packages, unless that was done for these very files.

    Raises StepFailed.
    """
    venv = root / ".venv"
    python = venv / "bin" / "python"
    stamp = venv / "greenroom-setup"
    wanted = checksum(root)
    if python.exists() and stamp.exists() and stamp.read_text("ascii") == wanted:
        return
    uv = uv_program(root, environment)
    if not python.exists():
        run(
            f"making .venv with Python {'.'.join(str(number) for number in sys.version_info[:3])}",
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv],
            environment=environment,
            instead="Set GREENROOM_PYTHON to another Python, 3.11 to 3.13.",
        )
    stamp.unlink(missing_ok=True)
    run(
        "installing the locked packages into .venv (1 GB with speech models, a few minutes the first time)",
        # Compiled here, once: a container or PYTHONDONTWRITEBYTECODE would have every process compile for itself.
        [uv, "pip", "sync", "--compile-bytecode", "--python", python, "--require-hashes", root / "requirements.lock"],
        environment=environment,
        instead=NETWORK,
    )
    run(
        "installing greenroom itself",
        [uv, "pip", "install", "--python", python, "--no-deps", "--editable", root],
        environment=environment,
        instead=NETWORK,
    )
    stamp.write_text(wanted, "ascii")


def provide_livekit(root: Path, environment: Mapping[str, str]) -> None:
    """Find livekit-server, or build it. Raises StepFailed and LivekitMissing."""
    try:
        livekit_binary.found(environment)
    except livekit_binary.LivekitMissing:
        binary = livekit_binary.provide(environment, uv_program(root, environment))
        say(f"livekit-server is {binary}")


def checksum(root: Path) -> str:
    """Changes when another set of packages is wanted."""
    digest = hashlib.sha256()
    for name in LOCKED:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def uv_program(root: Path, environment: Mapping[str, str]) -> str:
    """The uv on PATH, else one that pip brings into a venv of its own. Raises StepFailed."""
    on_path = shutil.which("uv", path=environment.get("PATH", os.defpath))
    if on_path is not None:
        return on_path
    venv = root / ".cache" / "uv"
    if not (venv / "bin" / "uv").exists():
        run(
            "making a place for uv, which installs the packages",
            [sys.executable, "-m", "venv", "--clear", venv],
            environment=environment,
            instead="Install this Python's venv module (Debian: apt-get install python3-venv), or uv.",
        )
        run(
            f"fetching {UV_PACKAGE}",
            [venv / "bin" / "pip", "install", "--disable-pip-version-check", "--only-binary", ":all:", UV_PACKAGE],
            environment=environment,
            instead=f"{NETWORK} Or install uv yourself.",
        )
    return str(venv / "bin" / "uv")


def for_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with what pip was told about indexes and certificates told to uv, too."""
    # Never a Python from the internet, never the venv that happens to be active.
    # The system's certificates, as pip and Go do: uv's own list knows no company's proxy.
    told = {"UV_SYSTEM_CERTS": "true", **environment, "UV_PYTHON_DOWNLOADS": "never"}
    told.pop("VIRTUAL_ENV", None)
    for pips, uvs in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if environment.get(pips) and not environment.get(uvs):
            told[uvs] = environment[pips]
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
