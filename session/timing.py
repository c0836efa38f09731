"""How long the ends of calls, workers and dispatchers may take; all three read their limits here.

After a call's end began, these follow one after the other, and the store may be slow all the time:

1. The call's task is cancelled (CANCEL_SECONDS).
2. The call closes (CALL_END_SECONDS): it asks why the room is gone (ROOM_NEWS_SECONDS), stops its pipeline
   (PIPELINE_STOP_SECONDS), sends the page its last words (LAST_WORDS_SECONDS), and waits for its last writes
   (LAST_WRITES_SECONDS, and what the others have left over).
3. The connections to the store are closed (STORE_SOCKET_SECONDS).

LiveKit's machinery cuts these off after SESSION_END_SECONDS. It then leaves the room, and the process exits. A process
that still lives after GONE_SECONDS exits with an error and a line in its log. Its worker kills it after
SHUTDOWN_SECONDS, which leaves no line.
"""

from __future__ import annotations

# The store. A reply that comes later than these counts as "the store is away".
STORE_SOCKET_SECONDS = 0.5  # to connect, to wait for each reply, to close
STORE_CALL_SECONDS = 0.9  # of one call, the wait for a free connection included: the API answers within a second

# A call's end, in order.
CANCEL_SECONDS = 0.2  # for the call's task to end once it is cancelled; it takes a millisecond
ROOM_NEWS_SECONDS = 0.15  # LiveKit ends a job and says why the room is gone in either order, a millisecond apart
SUCCESSOR_SHOWN_SECONDS = 0.1  # for a page to learn that another agent follows, before this one leaves
GIVE_WAY_SECONDS = 0.3  # for LiveKit to take that, and for pages to learn it; beside PIPELINE_STOP_SECONDS
PIPELINE_STOP_SECONDS = 0.4  # for the pipeline to come to rest; it takes some 10 ms
LAST_WORDS_SECONDS = 0.5  # for words that are on their way to the page, SHOWN_SECONDS of checkpoints.py included
LAST_WRITES_SECONDS = 2.2  # with LAST_WORDS_SECONDS, in which writes go on, enough for LAST_STORE_CALLS
CALL_END_SECONDS = ROOM_NEWS_SECONDS + PIPELINE_STOP_SECONDS + LAST_WORDS_SECONDS + LAST_WRITES_SECONDS
LAST_STORE_CALLS = 5  # one under way, the last words, the last checkpoint, and the end: its record read and written

# What cuts it off, measured from the same moment.
SESSION_END_SECONDS = 4.0  # for all of a call's end
GONE_SECONDS = 4.5  # for the process to be gone: half a second for LiveKit to leave the room
LOG_SECONDS = 0.1  # of a forced exit, for its line to reach the worker; a thread of its own sends it
SHUTDOWN_SECONDS = 5.0  # then the worker kills the process

# A call whose worker has died, and a worker that was told to stop.
ABANDON_SECONDS = 1.0  # for the call to say that it is lost; others notice its silence after five
DEATH_REPORTS_SECONDS = 2.0  # for the worker to write down which of its processes died

# A dispatcher that is told to stop, in order; then its connections to the store are closed.
ANSWERS_SECONDS = 3  # for requests that are being answered; whole seconds, as uvicorn takes them
TASKS_SECONDS = 1.5  # for loops and timers to end once they are cancelled; another replica does what is left
DISPATCHER_STOP_SECONDS = 5.0  # for all of it: `greenroom up` kills a dispatcher that takes longer
