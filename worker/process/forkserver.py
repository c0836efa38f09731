"""Imported by name in the forkserver before all else: it and all that it forks leave SIGTERM to the worker's parent.

An init system that stops a service tells all of its processes, and calls are to end as the parent says. LiveKit's job
machinery would see to it in processes that import it themselves, not in those that are forked with it loaded.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
