"""This machine's own microphone and loudspeaker, for `greenroom call --mic`."""

from __future__ import annotations

import importlib
from typing import Any

from livekit import rtc

from runtime.background import Background


class NoDevice(Exception):
    """There is no microphone or no loudspeaker that can be used."""


class Devices:
    """The microphone as a source to publish, and a loudspeaker for tracks, with echo cancellation between them."""

    def __init__(self, input_: Any, output: Any) -> None:
        """Use `open_devices`."""
        self.source: rtc.AudioSource = input_.source
        self._input = input_
        self._output = output
        self._tasks = Background("devices")

    def play(self, track: rtc.Track) -> None:
        """Hear `track` on the loudspeaker."""
        self._tasks.start(self._play(track), "loudspeaker")

    async def _play(self, track: rtc.Track) -> None:
        await self._output.add_track(track)
        await self._output.start()

    async def close(self) -> None:
        """Give both back."""
        await self._tasks.close()
        await self._output.aclose()
        await self._input.aclose()


def open_devices() -> Devices:
    """The default microphone and loudspeaker, opened; needs a running event loop. Raises NoDevice."""
    try:
        sounddevice = importlib.import_module("sounddevice")
    except (ImportError, OSError) as error:  # the package is missing, or the PortAudio library beneath it
        raise NoDevice(f"{error}: --mic needs it (Debian: apt install libportaudio2). --wav needs no device") from error
    media = rtc.MediaDevices()
    try:
        return Devices(media.open_input(), media.open_output())
    except (sounddevice.PortAudioError, ValueError) as error:
        raise NoDevice(f"no microphone or loudspeaker can be opened: {error}. --wav needs no device") from error
