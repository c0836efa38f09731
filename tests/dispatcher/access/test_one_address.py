import logging

import pytest

from dispatcher.access.one_address import ENOUGH, OneAddress


def test_one_private_address_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    seen = OneAddress()
    with caplog.at_level(logging.WARNING):
        said = [seen.saw("172.17.0.1") for _ in range(3 * ENOUGH)]
    assert said.index(True) == ENOUGH - 1
    assert said.count(True) == 1
    assert "GREENROOM_TRUSTED_PROXIES" in caplog.text


@pytest.mark.parametrize("others", [["203.0.113.9"], ["172.17.0.2"], ["2001:db8::/64"]])
def test_two_addresses_are_no_reason(others: list[str]) -> None:
    seen = OneAddress()
    assert not any(seen.saw(each) for each in ["172.17.0.1", *others, *["172.17.0.1"] * 3 * ENOUGH])


def test_one_public_address_is_no_reason() -> None:
    seen = OneAddress()
    assert not any(seen.saw("8.8.8.8") for _ in range(3 * ENOUGH))
