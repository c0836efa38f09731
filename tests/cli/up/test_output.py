"""Lines of several programs in one stream."""

import io

from cli.up.output import Output


class ClosedPipe(io.StringIO):
    """A stream whose reader has gone away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_every_line_names_its_program_in_a_column():
    stream = io.StringIO()
    output = Output(stream, ["valkey", "dispatcher"], colour=False)
    output.line("valkey", "hello\n")
    output.line("dispatcher", "hello")
    output.say("hello")
    assert stream.getvalue() == "valkey     | hello\ndispatcher | hello\ngreenroom  | hello\n"


def test_only_the_prefix_is_coloured():
    stream = io.StringIO()
    Output(stream, ["valkey"], colour=True).line("valkey", "hello")
    assert stream.getvalue() == "\x1b[36mvalkey    | \x1b[0mhello\n"


def test_an_empty_line_is_left_out():
    stream = io.StringIO()
    Output(stream, ["valkey"], colour=False).line("valkey", " \n")
    assert stream.getvalue() == ""


def test_a_plain_line_is_printed_as_it_is():
    stream = io.StringIO()
    Output(stream, [], colour=True).plain("ready")
    assert stream.getvalue() == "ready\n"


def test_a_reader_that_has_gone_ends_nothing():
    output = Output(ClosedPipe(), [], colour=False)
    output.say("one")
    output.say("two")
