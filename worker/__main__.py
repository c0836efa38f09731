"""`python -m worker`: sets what must be set before livekit.agents and loguru are imported, then runs the worker."""

from __future__ import annotations

import os

if __name__ == "__main__":
    from worker import early_stop

    early_stop.exit_when_told()

# LiveKit's own end-of-turn model would cost 70 MB a worker and is never used; read when livekit.agents is imported.
os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
# LiveKit's watch over each event loop: a block is told from 250 ms, not 100, which wakes a process half as often.
os.environ.setdefault("LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS", "250")
# Pipecat's log quotes what is spoken below this level; read when loguru is imported, here and in the forkserver.
os.environ["LOGURU_LEVEL"] = "WARNING"

if __name__ == "__main__":
    from worker.host.run import main

    main()
