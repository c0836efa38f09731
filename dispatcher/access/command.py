"""Makes, lists and revokes API keys in the store; `greenroom keys` runs it, with the store's address in REDIS_URL."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from dispatcher.access.key_store import KeyStore, open_keys
from dispatcher.access.keys import KeyFault, Role, new_key
from session.errors import StoreUnavailable
from session.settings import StoreSettings


def main(words: Sequence[str] | None = None) -> int:
    """Do what the arguments say; the exit status."""
    asked = _arguments().parse_args(words)
    settings = StoreSettings()
    try:
        return asyncio.run(_run(settings, asked))
    except (KeyFault, StoreUnavailable, ValueError) as error:
        print(f"greenroom keys: {error}", file=sys.stderr)
        return 2


async def _run(settings: StoreSettings, asked: argparse.Namespace) -> int:
    async with open_keys(settings.redis_url.get_secret_value(), namespace=settings.namespace) as keys:
        match asked.what:
            case "new":
                return await _new(keys, asked)
            case "revoke":
                return await _revoke(keys, asked.id)
            case _:
                return await _show(keys)


async def _new(keys: KeyStore, asked: argparse.Namespace) -> int:
    made, written = new_key(
        Role(asked.role), asked.name, starts=asked.starts, sessions=asked.sessions, agents=asked.agent
    )
    await keys.put(made)
    print(written)
    print(f"The key {made.id} of {made.name} is valid within a second. It is shown only now.", file=sys.stderr)
    return 0


async def _revoke(keys: KeyStore, key_id: str) -> int:
    if not await keys.drop(key_id):
        print(f"greenroom keys: there is no key {key_id}; `greenroom keys list` shows them", file=sys.stderr)
        return 1
    print(f"The key {key_id} stops working within a second.", file=sys.stderr)
    return 0


async def _show(keys: KeyStore) -> int:
    for key in sorted(await keys.all(), key=lambda each: (each.name, each.id)):
        limits = {"starts": key.starts, "sessions": key.sessions, "agents": ",".join(key.agents or ()) or None}
        said = " ".join(f"{name}={value}" for name, value in limits.items() if value is not None)
        print(f"{key.id}  {key.role:8}  {key.name}  {said}".rstrip())
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="greenroom keys", description="API keys of callers and operators.")
    commands = parser.add_subparsers(dest="what", required=True)
    new = commands.add_parser("new", help="make a key and print it, once")
    new.add_argument("role", choices=[str(role) for role in Role])
    new.add_argument("name", help="whose key it is; keys of one name share their sessions and limits")
    new.add_argument("--starts", help="how often it may start, like 60/minute")
    new.add_argument("--sessions", type=int, help="how many live sessions it may have")
    new.add_argument("--agent", action="append", help="an agent that it may start; may be given again; default: all")
    revoke = commands.add_parser("revoke", help="end a key")
    revoke.add_argument("id", help="as `greenroom keys list` shows it")
    commands.add_parser("list", help="show all keys, without the keys themselves")
    return parser


if __name__ == "__main__":
    sys.exit(main())
