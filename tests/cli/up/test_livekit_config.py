"""livekit.yaml with the ports of the settings."""

import yaml

from cli.up.livekit_config import LIVEKIT_YAML, merged
from cli.up.settings import UpSettings

TEXT = LIVEKIT_YAML.read_text()


def test_the_default_settings_leave_the_file_as_it_is():
    assert yaml.safe_load(merged(TEXT, UpSettings())) == yaml.safe_load(TEXT)


def test_every_port_can_be_moved():
    settings = UpSettings(
        port=1001, livekit_port=1002, livekit_tcp_port=1003, livekit_udp_port=1004, livekit_metrics_port=1005
    )
    config = yaml.safe_load(merged(TEXT, settings))
    assert config["webhook"]["urls"] == ["http://127.0.0.1:1001/webhooks/livekit"]
    assert config["port"] == 1002
    assert (config["rtc"]["tcp_port"], config["rtc"]["udp_port"]) == (1003, 1004)
    assert config["prometheus"]["port"] == 1005


def test_nobody_outside_the_machine_is_listened_to_or_asked():
    config = yaml.safe_load(TEXT)
    assert config["bind_addresses"] == ["127.0.0.1"]
    assert config["rtc"]["node_ip"] == "127.0.0.1"
    assert config["rtc"]["interfaces"] == {"includes": ["lo"]}
    assert config["rtc"]["use_external_ip"] is False
    assert all(server.startswith("127.0.0.1:") for server in config["rtc"]["stun_servers"])


def test_a_room_itself_is_asked_who_is_in_it():
    assert yaml.safe_load(merged(TEXT, UpSettings()))["api"] == {"enable_psrpc_for_get_list_participants": True}


def test_no_key_is_in_the_file():
    config = yaml.safe_load(TEXT)
    assert "keys" not in config
    assert "api_key" not in config["webhook"]
