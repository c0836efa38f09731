"""Where a caller's speech comes from: WAV files, or the bundled voice; `greenroom call` and the benches use it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from client import wav
from client.wav import Sound

# Two turns: said in one breath, the agent would answer the first sentence and be interrupted by the second.
DEFAULT_TEXTS = ("My name is Alice.", "What is my name?")
DEFAULT_EXPECTS = ("Alice",)
"""The answers to DEFAULT_TEXTS have one of these."""
SYNTHESIS_SECONDS = 60  # the voice loads its model first: 3 s on two cores, more when they are busy


class NoVoice(Exception):
    """The bundled voice can't be had."""


def synthesised(text: str) -> Sound:
    """`text`, spoken by the bundled voice in a process of its own (its libraries are heavy). Raises NoVoice."""
    with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
        out = Path(folder) / "speech.wav"
        command = [sys.executable, "-m", "pipeline.local.tts", text, str(out)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SYNTHESIS_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise NoVoice(f"the bundled voice wasn't ready after {SYNTHESIS_SECONDS} s: give a --wav file") from error
        if done.returncode != 0 or not out.exists():
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise NoVoice(f"the bundled voice failed ({last}): give a --wav file")
        return wav.read(out)
