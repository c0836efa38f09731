import inspect

import pytest

from dispatcher import errors
from dispatcher.api.errors import STATUS
from session import errors as theirs
from session.errors import SessionError
from session.record import ErrorReason

OURS = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, SessionError) and each.__module__ == errors.__name__
]


@pytest.mark.parametrize("error", OURS)
def test_an_error_without_words_says_its_docstring(error: type[SessionError]) -> None:
    assert error.__doc__
    assert str(error()) == error.__doc__
    assert str(error("because")) == "because"


@pytest.mark.parametrize("error", OURS)
def test_every_error_is_a_session_error_in_the_tree_at_the_top(error: type[SessionError]) -> None:
    assert f"── {error.__name__} " in (errors.__doc__ or "")
    assert error.__bases__ == (SessionError,)


def test_the_tree_names_no_error_that_is_gone() -> None:
    named = [line.split()[1] for line in (errors.__doc__ or "").splitlines() if "── " in line]
    assert sorted(named) == sorted(each.__name__ for each in OURS)


NO_USE_TRYING_AGAIN = {ErrorReason.AGENT_FAILED: 500, ErrorReason.BAD_CONFIG: 422}


def test_every_reason_for_which_a_start_fails_has_an_error_with_its_code() -> None:
    assert {reason: STATUS[error] for reason, error in errors.FAILED.items()} == {
        reason: (NO_USE_TRYING_AGAIN.get(reason, 503), reason.value) for reason in ErrorReason
    }


def test_no_error_has_the_name_of_one_that_happens_to_sessions() -> None:
    assert not {each.__name__ for each in OURS} & set(vars(theirs))
