"""A machine's own sound, which the machines that run these tests don't have."""

import importlib
import sys

import pytest

from cli.devices import NoDevice, open_devices

pytestmark = pytest.mark.anyio


@pytest.fixture
def without_portaudio(tmp_path):
    """A machine on which the PortAudio library is missing."""
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")\n')
    loaded = sys.modules.pop("sounddevice", None)
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(tmp_path))
    if loaded is not None:
        sys.modules["sounddevice"] = loaded


async def test_a_machine_without_sound_is_told_what_to_install(without_portaudio):
    with pytest.raises(NoDevice, match="PortAudio library not found: --mic needs it"):
        open_devices()
