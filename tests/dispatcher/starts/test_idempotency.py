import re

import pytest

from dispatcher.api.schemas import StartBody
from dispatcher.starts.idempotency import KEY_PATTERN, once


def body(**fields: object) -> StartBody:
    return StartBody.model_validate(fields)


ASKED = body(userId="ann", metadata={"a": 1, "b": [None, 2]}, config={"prompt": "Hi"})


def test_the_same_request_is_the_same_start() -> None:
    again = body(config={"prompt": "Hi", "voice": None}, metadata={"b": [None, 2], "a": 1}, userId="ann", unknown=1)
    assert once("k", owner="o", body=again) == once("k", owner="o", body=ASKED)


@pytest.mark.parametrize(("key", "owner"), [("l", "o"), ("k", "p"), ("k", ""), ('k", "o', "")])
def test_another_key_or_another_owner_is_another_start(key: str, owner: str) -> None:
    assert once(key, owner=owner, body=ASKED).op != once("k", owner="o", body=ASKED).op


@pytest.mark.parametrize(
    "other",
    [
        body(),
        body(userId="bob", metadata={"a": 1, "b": [None, 2]}, config={"prompt": "Hi"}),
        body(userId="ann", metadata={"a": 1, "b": [2]}, config={"prompt": "Hi"}),
        body(userId="ann", metadata={"a": 1, "b": [None, 2]}, config={"prompt": "Ho"}),
    ],
)
def test_the_same_key_with_another_body_shows_by_its_fingerprint(other: StartBody) -> None:
    mine, theirs = once("k", owner="o", body=ASKED), once("k", owner="o", body=other)
    assert mine.op == theirs.op
    assert mine.fingerprint != theirs.fingerprint


def test_neither_key_nor_body_can_be_read_from_it() -> None:
    made = once("order-4711", owner="key_a", body=body(userId="ann@example.org"))
    assert not re.search("4711|key_a|ann", f"{made}")


@pytest.mark.parametrize(
    ("key", "good"), [("k", True), ("k" * 255, True), ("a key~", True), ("", False), ("k" * 256, False), ("ü", False)]
)
def test_a_key_is_printable_ascii(key: str, good: bool) -> None:
    assert bool(re.search(KEY_PATTERN, key)) is good
