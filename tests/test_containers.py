"""The container files, as far as they can be tested without building: they agree with the code and with `make up`."""

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.setup import install, livekit_binary
from cli.up import parts
from cli.up.keys import Keys
from cli.up.settings import UpSettings
from dispatcher.settings import DispatcherSettings
from pipeline.settings import PipelineSettings
from session.settings import Connections
from tests.test_env_example import names
from worker.settings import WorkerSettings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LIVEKIT: dict[str, Any] = yaml.safe_load((ROOT / "livekit.yaml").read_text("utf-8"))
SETTINGS = (DispatcherSettings, WorkerSettings, PipelineSettings)


def defaults(settings: Any = DispatcherSettings) -> dict[str, Any]:
    return {name: field.default for name, field in settings.model_fields.items()}


def started_here() -> dict[str, parts.Part]:
    """The parts as `make up` starts them with default settings."""
    files = parts.Files(
        Path("valkey-server"),
        Path("/data"),
        Path("/etc/valkey.conf"),
        Path("livekit-server"),
        Path("/etc/livekit.yaml"),
    )
    return {part.name: part for part in parts.of_this_machine(UpSettings(), Keys("k", "s" * 40), files, "password")}


def instructions(name: str) -> list[str]:
    """What stands after each `name` in the Dockerfile."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def seconds(text: str) -> int:
    minutes = re.fullmatch(r"(\d+)m", text)
    assert minutes is not None
    return int(minutes[1]) * 60


def test_the_same_parts_run_as_without_containers():
    assert set(SERVICES) - {"prometheus"} == set(started_here())


@pytest.mark.parametrize("name", ["dispatcher", "worker"])
def test_ours_run_the_command_that_make_up_runs(name):
    command = shlex.split(SERVICES[name]["command"])
    assert command == ["python", *started_here()[name].command[1:]]
    assert importlib.util.find_spec(f"{command[-1]}.__main__") is not None


def test_the_image_runs_the_dispatcher_by_itself():
    assert instructions("CMD") == ['["python", "-m", "dispatcher"]']


def test_valkey_runs_with_the_options_that_make_up_gives_it():
    assert shlex.split(SERVICES["valkey"]["command"]) == list(started_here()["valkey"].command)


def test_valkey_is_where_ours_look_for_it_and_keeps_its_data():
    port = shlex.split(SERVICES["valkey"]["command"])[shlex.split(SERVICES["valkey"]["command"]).index("--port") + 1]
    assert defaults()["redis_url"].get_secret_value() == f"redis://127.0.0.1:{port}/0"
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]
    assert "valkey" in COMPOSE["volumes"]


def test_livekit_is_the_version_that_make_setup_builds():
    assert SERVICES["livekit"]["image"] == f"livekit/livekit-server:v{livekit_binary.VERSION}"


def test_livekit_runs_with_the_projects_file_and_the_keys_of_the_settings():
    command = started_here()["livekit"].command
    assert shlex.split(SERVICES["livekit"]["command"]) == list(command[1:])
    assert SERVICES["livekit"]["volumes"] == ["./livekit.yaml:/etc/livekit.yaml:ro"]
    assert SERVICES["livekit"]["environment"].keys() == started_here()["livekit"].environment.keys()
    used = set(re.findall(r"\$\{(\w+)", str(SERVICES["livekit"]["environment"])))
    assert used == {
        str(Connections.model_fields[name].validation_alias) for name in ("livekit_api_key", "livekit_api_secret")
    }


def test_livekits_ports_are_the_defaults_of_the_settings():
    settings = UpSettings()
    assert LIVEKIT["port"] == settings.livekit_port
    assert LIVEKIT["rtc"]["tcp_port"] == settings.livekit_tcp_port
    assert LIVEKIT["rtc"]["udp_port"] == settings.livekit_udp_port
    assert LIVEKIT["prometheus"]["port"] == settings.livekit_metrics_port
    assert defaults()["livekit_url"] == f"ws://127.0.0.1:{LIVEKIT['port']}"


def test_livekits_webhooks_go_to_the_dispatcher():
    port = defaults()["port"]
    assert LIVEKIT["webhook"]["urls"] == [f"http://127.0.0.1:{port}/webhooks/livekit"]
    assert port == UpSettings().port
    assert defaults(WorkerSettings)["worker_port"] == UpSettings().worker_port


def test_livekit_closes_no_room_that_a_session_still_waits_in():
    assert LIVEKIT["room"]["empty_timeout"] >= defaults()["join_seconds"] + 30
    assert LIVEKIT["room"]["departure_timeout"] > defaults()["caller_grace"]


def test_every_container_finds_the_others_on_loopback():
    assert {service["network_mode"] for service in SERVICES.values()} == {"host"}


def test_every_setting_that_is_named_exists():
    known = {
        name
        for settings in SETTINGS
        for field in settings.model_fields.values()
        for name in names(field.validation_alias)
    }
    for name in ("dispatcher", "worker"):
        assert SERVICES[name]["env_file"] == ".env"
        assert SERVICES[name].get("environment", {}).keys() <= known


def test_a_worker_is_not_killed_while_it_drains():
    drain = float(SERVICES["worker"]["environment"]["GREENROOM_DRAIN_SECONDS"])
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > drain


def test_prometheus_reads_what_listens():
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    settings = UpSettings()
    assert targets == {
        "dispatcher": [f"127.0.0.1:{settings.port}"],
        "livekit": [f"127.0.0.1:{settings.livekit_metrics_port}"],
    }
    assert "./deploy/prometheus/prometheus.yml:/etc/prometheus/prometheus.yml:ro" in SERVICES["prometheus"]["volumes"]


def test_the_image_installs_as_make_setup_does():
    assert "cli/setup/setup.sh python" in instructions("RUN")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^setup:.*\n\t@cli/setup/setup\.sh$", makefile, re.MULTILINE)


def test_the_image_has_what_the_installation_reads_before_it_runs():
    before = DOCKERFILE.split("RUN cli/setup/setup.sh")[0]
    copied = " ".join(re.findall(r"^COPY (.*) \S+$", before, re.MULTILINE))
    assert {*install.LOCKED, "cli/", "README.md"} <= set(copied.split())
    assert all((ROOT / name).exists() for name in copied.split())


def test_the_image_uses_a_python_that_the_project_supports_and_no_root():
    assert {image.split(" ")[0] for image in instructions("FROM")} == {"python:3.11-slim-bookworm"}
    assert instructions("USER") == ["greenroom"]
    # The venv points at itself by absolute paths: it must be where it was made.
    assert instructions("WORKDIR") == ["/greenroom", "/greenroom"]


@pytest.mark.parametrize("path", [".env", ".git", ".venv", ".greenroom"])
def test_no_secret_and_nothing_made_here_gets_into_the_image(path):
    assert path in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
