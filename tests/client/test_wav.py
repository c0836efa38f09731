"""Recordings of every shape become speech, or a clear error."""

import wave

import numpy as np
import pytest

from client import wav
from client.wav import BadWav, Sound


def written(path, samples, rate=16000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def tone(rate, seconds=0.5, hertz=440, level=8000):
    return np.rint(level * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def test_eight_kilohertz_stereo_becomes_one_channel_at_the_rate_that_is_asked_for(tmp_path):
    left = tone(8000)
    path = written(tmp_path / "a.wav", np.stack([left, np.zeros_like(left)], axis=1), rate=8000, channels=2)
    sound = wav.read(path)
    assert (sound.rate, len(sound.samples)) == (8000, 4000)
    assert np.abs(sound.samples - left / 2).max() <= 1
    raised = sound.at(16000)
    assert raised.rate == 16000
    assert raised.seconds == pytest.approx(0.5, abs=0.01)
    # Still the same tone, as loud as it was: the energy is what resampling must not change.
    assert np.std(raised.samples[1000:-1000]) == pytest.approx(np.std(sound.samples), rel=0.02)


def test_what_is_written_is_read_back(tmp_path):
    sound = Sound(tone(24000), 24000)
    wav.write(tmp_path / "b.wav", sound)
    again = wav.read(tmp_path / "b.wav")
    assert again.rate == 24000
    assert np.array_equal(again.samples, sound.samples)


def test_samples_of_24_bits_are_refused_by_name(tmp_path):
    path = written(tmp_path / "deep.wav", np.zeros(300, np.uint8), width=3)
    with pytest.raises(BadWav, match=r"deep\.wav has 24-bit samples: only 16-bit"):
        wav.read(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no PCM WAV"),
        (b"RIFF", "no PCM WAV"),
        (b"ID3 this is music, not speech, and no WAV file" * 4, "no PCM WAV"),
    ],
    ids=["nothing in it", "cut off in the header", "another format"],
)
def test_a_file_that_is_no_recording_is_refused(tmp_path, content, complaint):
    path = tmp_path / "c.wav"
    path.write_bytes(content)
    with pytest.raises(BadWav, match=complaint):
        wav.read(path)


def test_a_recording_without_samples_is_refused(tmp_path):
    with pytest.raises(BadWav, match="is empty"):
        wav.read(written(tmp_path / "d.wav", np.zeros(0, np.int16)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadWav, match=r"none\.wav: No such file"):
        wav.read(tmp_path / "none.wav")


def test_a_recording_that_was_cut_off_keeps_what_is_whole(tmp_path):
    path = written(tmp_path / "e.wav", np.ones((100, 2), np.int16), channels=2)
    path.write_bytes(path.read_bytes()[:-6])
    assert len(wav.read(path).samples) == 98
