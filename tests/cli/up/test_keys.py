"""The keys that are generated once and kept."""

import json
import stat

import pytest

from cli.up.keys import KeysError, kept, write_private


def test_keys_are_made_once_and_found_again(tmp_path):
    first = kept(tmp_path / "keys.json")
    assert kept(tmp_path / "keys.json") == first
    assert len(first.api_secret) >= 32


def test_two_machines_get_different_keys(tmp_path):
    assert kept(tmp_path / "one") != kept(tmp_path / "two")


def test_only_their_owner_can_read_them(tmp_path):
    kept(tmp_path / "keys.json")
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_the_secret_is_not_in_their_repr(tmp_path):
    keys = kept(tmp_path / "keys.json")
    assert keys.api_secret not in repr(keys)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", json.dumps({"api_key": "k"})])
def test_a_file_without_keys_is_a_clear_error(tmp_path, text):
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(KeysError, match=r"keys\.json holds no keys: delete it"):
        kept(tmp_path / "keys.json")


def test_a_private_file_replaces_an_open_one(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o644)
    write_private(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
