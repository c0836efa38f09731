"""A line for tests of what holds conversations."""

from greenroom.testing.exchange import Exchange


class Says:
    """A line whose agent says the same again and again."""

    def __init__(self, words, ended=""):
        self.words, self.ended = words, ended

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def begin(self):
        return Exchange("", self.words)

    async def say(self, words, interrupts=""):
        return Exchange(words, self.words, ended=self.ended)
