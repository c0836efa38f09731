"""What is seen while people talk, on a terminal and in a file."""

import io

from rich.console import Console

from cli.live_transcript import LiveTranscript
from client.transcript import TranscriptLine


def line(text, *, final=False, speaker="agent", segment="s"):
    return TranscriptLine(segment, speaker, text, final, 0.0)


def shown(*lines, terminal=False, close=True):
    out = io.StringIO()
    live = LiveTranscript(Console(file=out, width=80, force_terminal=terminal, color_system=None))
    for one in lines:
        live.show(one)
    if close:
        live.close()
    return out.getvalue()


def test_a_file_gets_each_line_once_when_it_is_final():
    assert (
        shown(line("Hel"), line("Hello"), line("Hello.", final=True), line("Hello.", final=True)) == "agent  Hello.\n"
    )


def test_a_terminal_sees_the_line_grow_in_place():
    printed = shown(line("Hel"), line("Hello.", final=True), terminal=True)
    assert "agent  Hel\r" in printed
    assert printed.endswith("agent  Hello.\n")
    assert "\x1b[2K" in printed  # the partial line is erased before the final one


def test_what_never_became_final_is_printed_at_the_end():
    assert shown(line("Wait,", speaker="user"), close=False) == ""
    assert shown(line("Wait,", speaker="user")) == "you    Wait,\n"


def test_what_was_taken_back_is_not_printed():
    assert shown(line("Nice to meet you."), line("", final=True)) == ""
