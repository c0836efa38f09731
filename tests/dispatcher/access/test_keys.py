import re

import pytest

from dispatcher.access.keys import (
    WRITTEN,
    ApiKey,
    KeyFault,
    Role,
    digest,
    from_json,
    matching,
    new_key,
    read_first_keys,
    to_json,
)


def test_a_new_key_is_kept_as_a_digest_alone() -> None:
    kept, written = new_key(Role.CALLER, "shop", starts="60/minute", sessions=5, agents=["default"])
    assert WRITTEN.fullmatch(written)
    assert written not in repr(kept)
    assert written.rpartition("_")[2] not in to_json(kept)
    assert kept.digest == digest(written)
    assert from_json(to_json(kept)) == kept


def test_no_two_keys_are_the_same() -> None:
    assert len({new_key(Role.OPERATOR, "me")[1] for _ in range(100)}) == 100


def test_a_key_is_found_among_others_and_nothing_else_is() -> None:
    made = [new_key(Role.CALLER, f"tenant{number}") for number in range(5)]
    keys = [kept for kept, _ in made]
    for kept, written in made:
        assert matching(written, keys) == kept
    for wrong in ("", made[0][1][:-1], made[0][1] + "0", made[0][0].digest, "\ud800"):
        assert matching(wrong, keys) is None


@pytest.mark.parametrize(
    ("name", "limits", "said"),
    [
        ("", {}, "the name must be"),
        ("a b", {}, "the name must be"),
        ("x" * 65, {}, "the name must be"),
        ("shop", {"starts": "many"}, "starts must be a number of starts and a time"),
        ("shop", {"sessions": 0}, "sessions must be 1 or more"),
    ],
)
def test_what_no_key_can_be_made_with(name: str, limits: dict[str, object], said: str) -> None:
    with pytest.raises(KeyFault, match=said):
        new_key(Role.CALLER, name, **limits)


def test_first_keys_are_read_from_one_text() -> None:
    one, two = "k" * 32, "gr:with:colons:" + "x" * 32
    caller, operator = read_first_keys(f"# ours\ncaller:shop:{one},\n\n operator:me:{two} ")
    assert (caller.role, caller.name, caller.digest) == (Role.CALLER, "shop", digest(one))
    assert (operator.role, operator.name, operator.digest) == (Role.OPERATOR, "me", digest(two))
    assert read_first_keys("") == ()


@pytest.mark.parametrize("text", ["secret", "caller:secret", "admin:me:" + "x" * 40, "caller:a b:" + "x" * 40])
def test_a_first_key_that_cannot_be_read_is_not_repeated(text: str) -> None:
    with pytest.raises(KeyFault, match="key 1 must be written") as fault:
        read_first_keys(text)
    assert "x" * 40 not in str(fault.value)


def test_a_first_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(KeyFault, match="32 characters or more"):
        read_first_keys("caller:shop:short")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v":2}', '{"v":1,"id":"a"}', "null", '{"v":1,"role":"king"}'])
def test_a_stored_key_that_is_none_shows_nothing_of_it(text: str) -> None:
    with pytest.raises(KeyFault, match="stored API key"):
        from_json(text)


def test_an_id_says_nothing_about_its_key() -> None:
    kept, written = new_key(Role.CALLER, "shop")
    assert isinstance(kept, ApiKey)
    assert re.fullmatch(r"[0-9a-f]{8}", kept.id)
    assert written.rpartition("_")[2][:8] != kept.id
