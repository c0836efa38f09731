"""An unexpected error stays where it happened; an expected one is handed on."""

import pytest

from dispatcher.observe.failures import contained
from runtime.background import Failure, on_failure
from session.errors import SessionError, StoreUnavailable


def test_an_unexpected_error_is_reported_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Failure] = []
    forget = on_failure(failures.append)
    with contained("queue"):
        raise RuntimeError("what the caller said")
    forget()
    assert [(each.owner, each.name) for each in failures] == [("dispatcher", "queue")]
    assert "task=queue error=RuntimeError at " in caplog.text
    assert "what the caller said" not in caplog.text


def test_an_expected_error_is_handed_on_and_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SessionError), contained("queue"):
        raise StoreUnavailable
    assert caplog.text == ""
