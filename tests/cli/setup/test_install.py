"""`make setup`, with a uv that only writes down what it is asked."""

import os
import subprocess
from pathlib import Path

import pytest

from cli.setup import install
from cli.setup.steps import StepFailed

SETUP = install.ROOT / "cli" / "setup" / "setup.sh"
# Makes the venv's python when asked for a venv; fails at the command that FAIL names.
UV = """#!/bin/sh
PATH=/bin:/usr/bin
echo "$@" >>"$LOG"
[ "$FAIL" = "$1$2" ] && { echo cannot; exit 1; }
if [ "$1" = venv ]; then for last; do :; done; mkdir -p "$last/bin"; touch "$last/bin/python"; fi
exit 0
"""


class Clone:
    """A clone with nothing set up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in install.LOCKED:
            (root / name).write_text(name)
        uv = root / "bin" / "uv"
        uv.parent.mkdir()
        uv.write_text(UV)
        uv.chmod(0o755)
        self.environment = {"PATH": str(root / "bin"), "LOG": str(root / "log")}

    def provide(self, **environment: str) -> list[str]:
        """Provide the packages; what uv was asked."""
        (self.root / "log").write_text("")
        install.provide_packages(self.root, {**self.environment, **environment})
        return (self.root / "log").read_text().splitlines()


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def test_a_fresh_clone_gets_a_venv_the_locked_packages_and_greenroom(clone):
    asked = clone.provide()
    assert [line.split(" --")[0] for line in asked] == ["venv", "pip sync", "pip install"]
    assert "--require-hashes" in asked[1]
    assert asked[1].endswith("requirements.lock")
    assert "--no-deps --editable" in asked[2]


def test_packages_are_compiled_when_they_are_installed(clone):
    assert "--compile-bytecode" in clone.provide()[1]


def test_the_second_time_nothing_is_done(clone):
    clone.provide()
    assert clone.provide() == []


@pytest.mark.parametrize("name", install.LOCKED)
def test_other_packages_are_installed_into_the_same_venv(clone, name):
    clone.provide()
    (clone.root / name).write_text("changed")
    assert [line.split(" --")[0] for line in clone.provide()] == ["pip sync", "pip install"]


def test_what_was_interrupted_is_done_again(clone):
    with pytest.raises(StepFailed, match="UV_DEFAULT_INDEX"):
        clone.provide(FAIL="pipinstall")
    assert [line.split(" --")[0] for line in clone.provide()] == ["pip sync", "pip install"]


def test_a_venv_without_its_python_is_made_anew(clone):
    clone.provide()
    (clone.root / ".venv" / "bin" / "python").unlink()
    assert clone.provide()[0].startswith("venv")


def test_uv_is_told_what_pip_was_told():
    told = install.for_uv({"PIP_INDEX_URL": "https://mirror/simple", "PIP_CERT": "/cert.pem", "VIRTUAL_ENV": "/other"})
    assert told["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert told["SSL_CERT_FILE"] == "/cert.pem"
    assert "VIRTUAL_ENV" not in told


def test_what_uv_was_told_itself_wins():
    told = install.for_uv({"PIP_INDEX_URL": "https://mirror/simple", "UV_DEFAULT_INDEX": "https://own/simple"})
    assert told["UV_DEFAULT_INDEX"] == "https://own/simple"


def test_uv_trusts_the_certificates_that_the_system_trusts_unless_told_otherwise():
    assert install.for_uv({})["UV_SYSTEM_CERTS"] == "true"
    assert install.for_uv({"UV_SYSTEM_CERTS": "false"})["UV_SYSTEM_CERTS"] == "false"


def run_setup(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SETUP, "nothing"], env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True, check=False
    )


def test_the_shell_finds_a_python_that_will_do(tmp_path):
    assert run_setup().returncode == 0


def test_a_python_that_is_only_a_name_is_passed_over(tmp_path):
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\necho not installed >&2\nexit 127\n")
    shim.chmod(0o755)
    assert run_setup(PATH=f"{tmp_path}:{os.environ['PATH']}").returncode == 0


def test_no_python_that_will_do_is_a_clear_error(tmp_path):
    refused = run_setup(GREENROOM_PYTHON="/no-such-python")
    assert refused.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 (tried: /no-such-python)" in refused.stderr
    assert "GREENROOM_PYTHON" in refused.stderr
