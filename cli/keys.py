"""The command `greenroom keys`: makes, lists and revokes API keys, also those of what `make up` runs here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from cli.up import parts
from cli.up.command import VALKEY_CONFIG
from cli.up.keys import KeysError, valkey_password
from cli.up.settings import SettingError, UpSettings, environment


def keys(words: Sequence[str]) -> int:
    """Run the dispatcher's own command with these arguments; its exit status.

    The store is that of the settings; without REDIS_URL that which `greenroom up` starts.
    """
    try:
        told = environment()
        settings = UpSettings.read(told)
        config = settings.state_dir / VALKEY_CONFIG
        password = valkey_password(config) if settings.redis_url is None and config.exists() else ""
    except (SettingError, KeysError, OSError) as error:
        print(f"greenroom keys: {error}", file=sys.stderr)
        return 2
    with_store = {**os.environ, "REDIS_URL": parts.redis_url(settings, password)}
    return subprocess.run([sys.executable, "-m", "dispatcher.access.command", *words], env=with_store).returncode
