"""Text-to-speech without key or network: hibari-tts on onnxruntime, and its Pipecat service.

`python -m pipeline.local.tts TEXT OUT.wav [--voice NAME]` writes speech to a file.
"""

from __future__ import annotations

import argparse
import functools
import logging
import wave
from collections.abc import AsyncGenerator, Iterable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import soxr
from hibari import SAMPLE_RATE as RATE
from hibari import Hibari
from hibari.voices import DEFAULT, VOICES, cache_dir, voice_path
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from pipeline.frames import UnsayableFrame
from pipeline.local import lane
from pipeline.local.spoken import digit_by_digit, parts, speakable, trimmed, unsayable
from pipeline.providers.local import ACCENTS

Pcm = npt.NDArray[np.int16]

logger = logging.getLogger(__name__)

SEED = 0  # the same words always sound the same
FRAME_SECONDS = 0.2  # an interruption drops whole frames; smaller ones cost more than they save
WARMING = "Hello, Zorblax! Twelve plus thirty is forty two."  # the name isn't in the lexicon: loads that net too


class VoiceMissing(ValueError):
    """No voice has this name, or its model is not on this machine; nothing is downloaded for a call."""


def voice_named(name: str) -> str:
    """The voice meant by a name or an accent.

    Args:
        name: A name of hibari's ("heart", "emma", ...), or "american" or "british".

    Returns:
        The voice's own name.

    Raises:
        VoiceMissing: There is none, or its file is not here.
    """
    voice = ACCENTS.get(name.lower(), name.lower())
    if voice not in VOICES:
        raise VoiceMissing(f"no voice is called {name!r}; there are {', '.join([*VOICES, *ACCENTS])}")
    try:
        voice_path(voice, download_missing=False)
    except FileNotFoundError:
        raise VoiceMissing(
            f"the voice {voice!r} is not on this machine: run `hibari --voice {voice} Hello -o /dev/null` once with"
            f" a network, or put {VOICES[voice]['file']} into {cache_dir()}"
        ) from None
    return voice


@functools.cache
def engine(voice: str = DEFAULT) -> Hibari:
    """The one synthesiser of a voice, for this process and those forked from it."""
    made = Hibari(voice=voice, threads=1)
    made.sess = ort.InferenceSession(made.model_path, lane.session_options(), providers=["CPUExecutionProvider"])
    return made


def _sound(text: str, voice: str) -> Pcm:
    samples = np.zeros(0, np.float32)
    for said in (text, digit_by_digit(text)):
        try:
            samples = trimmed(engine(voice)(said, seed=SEED), RATE)
            break
        except Exception as error:  # noqa: BLE001 - a text over which the library stumbles must not cost the others
            logger.warning("event=voice_stumbled characters=%d why=%s", len(said), type(error).__name__)
    if not samples.size or unsayable(text):
        logger.warning("event=unsayable characters=%d", len(text))
    return np.asarray(np.clip(samples, -1, 1) * 32767, dtype=np.int16)


_kept: dict[tuple[str, str], Pcm] = {}  # (text, voice) -> sound, filled by `preload`


def synthesise(text: str, voice: str = DEFAULT) -> tuple[Pcm, int]:
    """Speak a text.

    Args:
        text: English, of any length; numbers, times and addresses are written out.
        voice: A name or accent, see `voice_named`.

    Returns:
        16-bit mono samples without silence around them (none if there is nothing to say), and their rate, 24,000 a
        second.

    Raises:
        VoiceMissing: See `voice_named`.
    """
    said = speakable(text)
    return (_sound(said, voice_named(voice)) if said else np.zeros(0, np.int16)), RATE


def preload(phrases: Iterable[str] = (), voice: str = DEFAULT) -> None:
    """Load the voice and keep the sound of some phrases, shared by all processes forked later.

    Args:
        phrases: Texts that calls will begin with.
        voice: A name or accent, see `voice_named`.

    Raises:
        VoiceMissing: See `voice_named`.
    """
    lane.bound_heaps()
    name = voice_named(voice)
    engine(name)(WARMING, seed=SEED)
    for phrase in phrases:
        # Pipecat hands a greeting over whole or sentence by sentence.
        for text in {phrase, *Hibari.split_sentences(phrase)}:
            for part in parts(speakable(text)):
                _kept[part, name] = _sound(part, name)
    lane.give_back()


async def _for_the_ear(text: str, text_type: str) -> str:
    """Pipecat drops a text that comes out empty; without this, three such texts would end the service."""
    return speakable(text)


class HibariTTS(TTSService):
    """Speech for each sentence, synthesised off the event loop; a phrase given to `preload` comes at once."""

    def __init__(self, *, voice: str = DEFAULT) -> None:
        """Args: voice: a name or accent, see `voice_named`."""
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            text_transforms=[("*", _for_the_ear)],
            settings=TTSSettings(model="hibari", voice=voice_named(voice), language="en"),
        )
        self._voice = voice_named(voice)
        engine(self._voice)

    def can_generate_metrics(self) -> bool:
        """Yes: one request is one sentence."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak one sentence.

        Args:
            text: What to say, written for the ear.
            context_id: Pipecat's name for this turn's audio.

        Yields:
            Audio at the service's sample rate; a long sentence begins before its end is made.
        """
        await self.start_tts_usage_metrics(text)
        for part in parts(text):
            sound = _kept.get((part, self._voice))
            if sound is None:
                sound = await lane.run(_sound, part, self._voice)
            await self.stop_ttfb_metrics()
            if not sound.size or unsayable(part):
                await self.push_frame(UnsayableFrame())
            for frame in self._frames(sound, context_id):
                yield frame

    def _frames(self, sound: Pcm, context_id: str) -> list[Frame]:
        if self.sample_rate != RATE:
            sound = np.asarray(soxr.resample(sound, RATE, self.sample_rate), dtype=np.int16)
        size = int(self.sample_rate * FRAME_SECONDS)
        return [
            TTSAudioRawFrame(sound[at : at + size].tobytes(), self.sample_rate, 1, context_id=context_id)
            for at in range(0, sound.size, size)
        ]


def main(arguments: list[str] | None = None) -> None:
    """Write speech to a WAV file."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.local.tts", description=main.__doc__)
    parser.add_argument("text")
    parser.add_argument("out", metavar="OUT.wav")
    parser.add_argument("--voice", default=DEFAULT)
    given = parser.parse_args(arguments)
    try:
        sound, rate = synthesise(given.text, given.voice)
    except VoiceMissing as error:
        parser.error(str(error))
    with cast(Any, wave.open(given.out, "wb")) as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.tobytes())


if __name__ == "__main__":
    main()
