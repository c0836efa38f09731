"""The bundled voice speaks for a caller who has no recording."""

import pytest

from client.conversation import expected
from client.speech import DEFAULT_EXPECTS, NoVoice, synthesised
from client.waveform import voiced


def test_the_bundled_voice_speaks():
    sound = synthesised("Hello there.")
    begin, end = voiced(sound)
    assert 0.4 < end - begin < 3.0


def test_a_voice_that_fails_says_why_and_what_to_do():
    with pytest.raises(NoVoice, match=r"the bundled voice failed \(.+\): give a --wav file"):
        synthesised("--voice=no-such-voice")


def test_an_answer_to_the_default_text_is_recognised_however_it_is_put():
    assert expected("Nice to meet you, Alice.", (), DEFAULT_EXPECTS) is None
    assert expected("Sorry?", (), DEFAULT_EXPECTS) is not None
