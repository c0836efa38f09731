"""What is kept in the store under which key, and the Lua scripts that change it in one step; connection.py runs them.

Every key begins with `greenroom:{namespace}:`, which the scripts get as KEYS[1]; they make the rest themselves, so the
store must be one server (with replicas), not a cluster. Their arguments are names and values in turn. No script reads
JSON: what it decides by is kept beside the record as fields of their own.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from session.record import FINAL, SEATED, State
from session.store.orders import ORDER_SECONDS
from session.store.ports import (
    CIRCUIT_FAILURES,
    CIRCUIT_KEPT_SECONDS,
    CIRCUIT_SECONDS,
    KEYED_SECONDS,
    LOG_LINES,
    OP_SECONDS,
    RESERVED_SECONDS,
    WORKER_SECONDS,
)

# Each key is this name after the prefix, and where the name ends in a colon the id after it.
KEYS = {
    # hash: record (JSON of Session), rev, op (of the last write), state, attempt, job ("" for none), last_active (Unix
    # seconds, newer than the record's), counted (1 once it is in the totals). No expiry while live, RESERVED_SECONDS
    # while reserved and not under way, keep_seconds from its end on.
    "SESSION": "session:",
    # list of JSON of Utterance, oldest first. Expires with its session.
    "TRANSCRIPT": "transcript:",
    # list of "{Unix seconds} {JSON}", oldest first, at most LOG_LINES. Expires with its session.
    "LOG": "log:",
    # string: the id of the user's live session; the key's end is a digest of owner and user. Gone at the session's end.
    "USER": "user:",
    # set of the ids of an owner's live sessions; the key's end is a digest of the owner. No expiry; a session leaves it
    # at its end.
    "OWNED": "owned:",
    # hash: JSON of each API key (dispatcher/access/keys.py), by the key's id. No expiry.
    "API_KEYS": "api_keys",
    # string: the id of the session that the `start` with this op made, and after a space the fingerprint if it has one.
    # Expires after OP_SECONDS, or KEYED_SECONDS with a fingerprint.
    "OP": "op:",
    # set of the ids that hold a seat. No expiry; a session leaves it with the write that takes it out of SEATED.
    "SEATS": "seats",
    # string "1": this session is over, and its record may be gone before the token that began it. Expires after
    # RESERVED_SECONDS.
    "TOMB": "tomb:",
    # sorted set of the ids in this state, by created_at. No expiry; trimmed of what has expired when counted.
    "STATE": "state:",
    # sorted set of the ids of sessions that will expire (reserved or ended), by the Unix time when they do. No expiry;
    # trimmed as that time passes.
    "EXPIRING": "expiring",
    # stream, one entry a call that ended, field `record` (JSON of Session). No expiry; the newest 100,000 or so, and
    # none that is much older than keep_seconds.
    "OUTGOING": "outgoing",
    # hash: spawned, assigned (sessions that became ready), startup_seconds (their sum), refused_claims,
    # refused_checkpoints (those that changed nothing), failed (sessions that ended with an error). No expiry.
    "TOTALS": "totals",
    # string: JSON of Worker. Expires after WORKER_SECONDS.
    "WORKER": "worker:",
    # sorted set of the ids of workers, by their last heartbeat. No expiry; trimmed after WORKER_SECONDS.
    "WORKERS": "workers",
    # string: cordon or drain, and after a space when its worker started (Unix seconds). Expires ORDER_SECONDS after the
    # worker's last heartbeat.
    "ORDER": "order:",
    # hash: size and prewarm, as PoolSize has them. No expiry.
    "POOL": "pool",
    # hash: idle processes that a worker is told to keep, by its id. No expiry; written anew with each change.
    "TARGETS": "targets",
    # sorted set of the ids of live sessions that somebody must look at, by their deadline. No expiry; a session leaves
    # it with the write that takes its deadline away.
    "DUE": "due",
    # sorted set of the ids of `ready` sessions, by the last sign of life of their agent. No expiry; as DUE.
    "CALLS": "calls",
    # stream, one entry an event, fields `kind` and `id`; read by the group `dispatchers`. The newest 10,000 or so.
    "EVENTS": "events",
    # hash: last (Unix seconds when somebody watched), until (before it nothing is concluded from silence). No expiry.
    "WATCH": "watch",
    # string: JSON of the conversation as its agent last wrote it down. Expires with its session.
    "CHECKPOINT": "checkpoint:",
    # string: a checkpoint that could not be read. Expires with its session, or after a day.
    "SPOILED": "spoiled:",
    # string: what a task of the dispatchers keeps for its next run. Expires NOTE_SECONDS after that.
    "NOTE": "note:",
    # string "1": something that was seen. Expires after the seconds it was given.
    "SEEN": "seen:",
    # sorted set: ids of sessions whose start failed, by when (Unix seconds); or, once it is open, `opened` and the id
    # of the start that was let through. Expires after CIRCUIT_SECONDS, or CIRCUIT_KEPT_SECONDS once it is open.
    "CIRCUIT": "circuit:",
    # set of the names of open circuits. No expiry; one that has expired leaves it when they are read.
    "OPEN_CIRCUITS": "open_circuits",
}

FOLDER = resources.files("session.store") / "lua"
INCLUDE = re.compile(r"^-- include: (\w+)\n", re.MULTILINE)


@cache
def script(name: str) -> str:
    """The script in session/store/lua/{name}.lua, with the keys, the limits and what it includes before it."""
    return "\n".join([*_constants(), _read("prelude"), _with_includes(_read(name))])


def _with_includes(text: str) -> str:
    return INCLUDE.sub(lambda found: _with_includes(_read(found.group(1))), text)


def _read(name: str) -> str:
    return (FOLDER / f"{name}.lua").read_text("utf-8")


def _constants() -> list[str]:
    limits = {
        "RESERVED_MS": RESERVED_SECONDS * 1e3,
        "WORKER_MS": WORKER_SECONDS * 1e3,
        "ORDER_MS": ORDER_SECONDS * 1e3,
        "OP_MS": OP_SECONDS * 1e3,
        "KEYED_MS": KEYED_SECONDS * 1e3,
        "LOG_LINES": LOG_LINES,
        "CIRCUIT_FAILURES": CIRCUIT_FAILURES,
        "CIRCUIT_SECONDS": CIRCUIT_SECONDS,
        "CIRCUIT_KEPT_SECONDS": CIRCUIT_KEPT_SECONDS,
    }
    return [
        *(f"local {name} = KEYS[1] .. '{key}'" for name, key in KEYS.items()),
        f"local SEATED, FINAL = {_lua_set(SEATED)}, {_lua_set(FINAL)}",
        *(f"local {name} = {value:.0f}" for name, value in limits.items()),
    ]


def _lua_set(states: frozenset[State]) -> str:
    return "{" + ", ".join(f"{state} = true" for state in sorted(states)) + "}"
