"""Asks a local server whether it is ready; knows the questions, not who asks or what hangs on the answers."""

from __future__ import annotations

import asyncio
import json

ANSWER_SECONDS = 2.0  # a healthy local server answers in milliseconds; on a busy machine in tens of them
ANSWER_BYTES = 65536


async def ask(host: str, port: int, question: bytes, *, until: bytes | None = None) -> bytes:
    """What the server at `host` and `port` answers to `question`, up to `until` or its end.

    Raises OSError when it can't be reached, TimeoutError when it is silent for ANSWER_SECONDS.
    """
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(question)
            answer = b""
            while len(answer) < ANSWER_BYTES and (until is None or until not in answer):
                chunk = await reader.read(ANSWER_BYTES)
                if not chunk:
                    break
                answer += chunk
            return answer
        finally:
            writer.close()


async def http_get(host: str, port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET. Raises as `ask` does, and ConnectionError for an answer that isn't HTTP."""
    # HTTP/1.0: the body ends where the connection does, never in chunks.
    answer = await ask(host, port, f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ConnectionError("the answer isn't HTTP")
    return int(words[1]), body


async def valkey(host: str, port: int) -> str | None:
    """None when Valkey answers; else why not yet."""
    answer = await ask(host, port, b"PING\r\n", until=b"\r\n")
    asks_for_password = answer.startswith(b"-NOAUTH")  # while it loads its data it says so instead
    return (
        None
        if answer.startswith(b"+PONG") or asks_for_password
        else f"it answers {answer[:60].decode('utf-8', 'replace').strip()!r}"
    )


async def http_ok(host: str, port: int, path: str) -> str | None:
    """None when a GET of `path` is answered with 200; else why not yet."""
    status, _ = await http_get(host, port, path)
    return None if status == 200 else f"{path} answers {status}"


async def caller_can_be_served(host: str, port: int) -> str | None:
    """None when the dispatcher at `host` and `port` says that a warm agent waits for a caller; else why not yet."""
    return unserved(*await http_get(host, port, "/api/health"))


def unserved(status: int, body: bytes) -> str | None:
    """None when this answer of `/api/health` means that a caller can be served; else why not."""
    try:
        health = json.loads(body)
        state, pool = health["status"], int(health["sessions"]["pool"])
    except (ValueError, KeyError, TypeError):
        return f"/api/health answers {status} without a pool"
    if state in ("healthy", "degraded") and pool >= 1:  # such as while a provider is left alone
        return None
    return f"health is {state}, {pool} warm agents" + (f": {health['error']}" if health.get("error") else "")
