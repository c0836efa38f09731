import inspect

import pytest

from session import errors
from session.errors import SessionError

ALL = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, SessionError)]


@pytest.mark.parametrize("error", ALL)
def test_an_error_without_words_says_its_docstring(error: type[SessionError]) -> None:
    assert str(error()) == error.__doc__
    assert str(error("because")) == "because"


@pytest.mark.parametrize("error", [each for each in ALL if each is not SessionError])
def test_every_error_is_in_the_tree_at_the_top(error: type[SessionError]) -> None:
    assert f"── {error.__name__} " in (errors.__doc__ or "")
    assert error.__bases__ == (SessionError,)


def test_the_tree_names_no_error_that_is_gone() -> None:
    named = [line.split()[1] for line in (errors.__doc__ or "").splitlines() if "── " in line]
    assert sorted(named) == sorted(each.__name__ for each in ALL if each is not SessionError)
