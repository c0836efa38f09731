"""What our own frames need to be to arrive."""

from pipecat.frames.frames import SystemFrame

from pipeline.frames import NoWordsFrame


def test_no_interruption_drops_the_news_that_there_were_no_words() -> None:
    assert isinstance(NoWordsFrame(), SystemFrame)
