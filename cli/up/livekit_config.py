"""Puts the ports of the settings into livekit.yaml; command.py writes it for livekit-server."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from cli.up.settings import UpSettings

LOOPBACK_ADAPTER = "lo0" if sys.platform == "darwin" else "lo"
LIVEKIT_YAML = Path(__file__).resolve().parents[2] / "livekit.yaml"


def merged(text: str, settings: UpSettings) -> str:
    """The configuration `text` (YAML) with the ports of `settings`, as YAML."""
    config = yaml.safe_load(text)
    config["port"] = settings.livekit_port
    config["rtc"]["interfaces"]["includes"] = [LOOPBACK_ADAPTER]
    config["rtc"]["tcp_port"] = settings.livekit_tcp_port
    config["rtc"]["udp_port"] = settings.livekit_udp_port
    config["prometheus"]["port"] = settings.livekit_metrics_port
    config["webhook"]["urls"] = [f"http://{settings.address}/webhooks/livekit"]
    return str(yaml.safe_dump(config, sort_keys=False))
