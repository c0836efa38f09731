"""The command `greenroom demo`: starts everything, places one call, stops everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cli.up import started
from cli.up.started import NotStarted

GREENROOM = started.GREENROOM


def demo(wav: Path | None) -> int:
    """Run the demonstration; the exit code: 0 when the agent understood and answered.

    `wav` is a recording for the caller to speak; without one a synthetic voice speaks.
    """
    chosen = [] if wav is None else ["--wav", str(wav)]
    try:
        with started.started("demo", {}, GREENROOM) as url:
            print(f"demo: ready at {url}; calling", flush=True)
            return subprocess.run([*GREENROOM, "call", "--url", url, *chosen], check=False).returncode
    except NotStarted as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
