"""`python -m agent_tests`: what `greenroom test` runs."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence


def main(words: Sequence[str]) -> int:
    """Load what runs conversations, and run it; its exit code."""
    # Pipecat quotes what is said, and tells of errors that conversations show; read when loguru is imported.
    os.environ.setdefault("LOGURU_LEVEL", "CRITICAL")
    # Imports make half a million objects, all of which stay: looking for garbage among them takes a third of the start.
    gc.disable()
    from agent_tests.command import main as run

    gc.freeze()
    gc.enable()
    return run(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
