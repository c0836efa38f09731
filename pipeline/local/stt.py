"""Speech-to-text without key or network: Moonshine tiny English on onnxruntime, and its Pipecat service."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import soxr
from pipecat.frames.frames import Frame, TranscriptionFrame
from pipecat.services.settings import STTSettings
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from pipeline.frames import UnsureTranscriptionFrame
from pipeline.local import lane
from pipeline.local.pieces import pieces
from pipeline.local.plausible import Samples, Transcription, believed, centred, has_sound, loops, unsure
from pipeline.providers.in_pieces import InPieces

RATE = 16_000  # samples a second the model was trained on
START, END = 1, 2  # tokens
HEADS, HEAD_SIZE = 8, 36  # shape of the decoder's caches
TOKENS_PER_SECOND = 6.5  # the model's own bound; human speech measured at 2 to 5
SPARE_TOKENS = 4
SHORTEST_SECONDS = 0.1  # the encoder's convolutions need about that much
TRAILING_SILENCE_SECONDS = 0.25  # the last word is whole with it; Pipecat's 0.5 costs 10 ms more an utterance
SLOWEST_SECONDS = 1.0  # from the end of speech to the words, with six callers at once on two cores


class ModelMissing(RuntimeError):
    """The wheel that carries Moonshine's weights is not installed, or not the version that carries them."""


def from_pcm(audio: bytes, rate: int) -> Samples:
    """16-bit mono sound at any rate as the model wants it.

    Args:
        audio: Little-endian samples; an odd last byte is dropped.
        rate: Samples a second.

    Returns:
        16 kHz samples from -1 to 1.
    """
    whole = np.frombuffer(audio[: len(audio) // 2 * 2], dtype="<i2")
    samples = np.asarray(whole / 32768, dtype=np.float32)
    if rate == RATE:
        return samples
    return np.asarray(soxr.resample(samples, rate, RATE), dtype=np.float32)


def vocabulary(packed: bytes) -> list[bytes]:
    """The tokens of `tokenizer.bin`: byte strings, each after its length, which takes two bytes from 128 on."""
    tokens, at = [], 0
    while at < len(packed):
        size = packed[at]
        at += 1
        if size >= 128:
            size = packed[at] * 128 + size - 128
            at += 1
        tokens.append(packed[at : at + size])
        at += size
    return tokens


def _assets() -> Path:
    spec = importlib.util.find_spec("moonshine_voice")
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing("install moonshine-voice==0.1.0: its wheel carries the speech model")
    folder = Path(spec.submodule_search_locations[0]) / "assets" / "tiny-en"
    if not (folder / "encoder_model.ort").is_file():
        raise ModelMissing(f"{folder} has no model: moonshine-voice 0.1.0 is the last version that carries it")
    return folder


class Moonshine:
    """The model: sound in, words out. One instance serves any number of threads and survives a fork."""

    def __init__(self) -> None:
        folder = _assets()
        self._encoder = ort.InferenceSession(str(folder / "encoder_model.ort"), lane.session_options())
        self._decoder = ort.InferenceSession(str(folder / "decoder_model_merged.ort"), lane.session_options())
        self._tokens = vocabulary((folder / "tokenizer.bin").read_bytes())
        self._caches = [i.name for i in self._decoder.get_inputs() if i.name.startswith("past_key_values")]
        self._outputs = [o.name.replace("present", "past_key_values") for o in self._decoder.get_outputs()]

    def __call__(self, samples: Samples) -> str:
        """The words in a stretch of speech; as `understand`, without its confidence."""
        return self.understand(samples).text

    def understand(self, samples: Samples) -> Transcription:
        """The words in a stretch of speech, and how sure the model is of them.

        Args:
            samples: 16 kHz, from -1 to 1, of any length.

        Returns:
            What was said, or "" where there are no words; the confidence is the least of its pieces'.
        """
        heard = [self._piece(piece) for piece in pieces(centred(samples), RATE)]
        words = [each for each in heard if each.text]
        confidence = min((each.confidence for each in words), default=0.0)
        return Transcription(" ".join(each.text for each in words), confidence)

    def _piece(self, samples: Samples) -> Transcription:
        if samples.size < SHORTEST_SECONDS * RATE or not has_sound(samples, RATE):
            return Transcription("", 0.0)
        heard = self.hear(samples)
        return Transcription(believed(heard), heard.confidence)

    def hear(self, samples: Samples) -> Transcription:
        """What the model itself says to one piece of sound, right or wrong."""
        mask = np.ones((1, samples.size), np.int64)
        encoded = self._encoder.run(None, {"input_values": samples[None], "attention_mask": mask})[0]
        feed: dict[str, npt.NDArray[np.generic]] = {
            name: np.zeros((1, HEADS, 0, HEAD_SIZE), np.float32) for name in self._caches
        }
        feed |= {"encoder_hidden_states": encoded, "encoder_attention_mask": mask}
        tokens, chances, last, first = list[int](), list[float](), START, True
        for _ in range(int(samples.size / RATE * TOKENS_PER_SECOND) + SPARE_TOKENS):
            feed |= {"input_ids": np.array([[last]], np.int64), "use_cache_branch": np.array([not first])}
            logits, *caches = self._decoder.run(None, feed)
            last, chance = _likeliest(logits[0, -1])
            chances.append(chance)
            if last == END:
                break
            tokens.append(last)
            if loops(tokens):
                return Transcription("", float(np.mean(chances)))
            # The encoder's caches never change after the first step; later steps return them empty.
            feed |= {n: c for n, c in zip(self._outputs[1:], caches, strict=True) if first or ".decoder." in n}
            first = False
        return Transcription(self._text(tokens), float(np.mean(chances)))

    def _text(self, tokens: list[int]) -> str:
        text = b"".join(self._tokens[token] for token in tokens).decode("utf-8", "replace")
        return text.replace("\u2581", " ").strip()  # the tokenizer's mark of a word's beginning


def _likeliest(logits: npt.NDArray[np.float32]) -> tuple[int, float]:
    """The most likely token and its log-probability."""
    best = int(logits.argmax())
    return best, -float(np.log(np.exp(logits - logits[best]).sum()))


@functools.cache
def model() -> Moonshine:
    """The one model of this process and of those forked from it."""
    return Moonshine()


def preload() -> None:
    """Load the model and run it once, so that what that allocates is shared by all processes forked later.

    Raises:
        ModelMissing: The weights are not installed.
    """
    lane.bound_heaps()
    noise = np.random.default_rng(0).standard_normal(3 * RATE) * 0.1
    model().hear(noise.astype(np.float32))
    lane.give_back()


class MoonshineSTT(InPieces):
    """Words for each stretch of speech that the pipeline's voice detector marks; 16-bit mono at any rate."""

    def __init__(self) -> None:
        super().__init__(
            trailing_silence_secs=TRAILING_SILENCE_SECONDS,
            ttfs_p99_latency=SLOWEST_SECONDS,
            settings=STTSettings(model="tiny-en", language=Language.EN),
        )
        self._model = model()

    @property
    def wants_wav_segments(self) -> bool:
        """No: plain samples."""
        return False

    def can_generate_metrics(self) -> bool:
        """Yes: one request is one stretch of speech."""
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        """Transcribe one stretch of speech off the event loop.

        Args:
            audio: 16-bit mono samples at the service's sample rate.

        Yields:
            One frame with the words; none where there are no words.
        """
        await self.start_processing_metrics()
        heard = await lane.run(self._understand, audio)
        await self.stop_processing_metrics()
        if heard.text:
            kind = UnsureTranscriptionFrame if unsure(heard) else TranscriptionFrame
            yield kind(heard.text, self._user_id, time_now_iso8601(), Language.EN)

    def _understand(self, audio: bytes) -> Transcription:
        return self._model.understand(from_pcm(audio, self.sample_rate))
