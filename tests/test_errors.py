"""The exception tree: one sentence that carries rule, value and hint, on this side of a process boundary and beyond."""

from __future__ import annotations

import inspect
import pickle

import pytest

from betanas import errors
from betanas.errors import BetanasError, MissingExtraError, SpaceError, StoreError, UserError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BetanasError)]


def test_message_holds_rule_value_and_hint() -> None:
    error = SpaceError("The spaces are a and b.", value="c", hint="Type one of them.")

    assert str(error) == "The spaces are a and b. Got 'c'. Type one of them."
    assert (error.rule, error.value, error.hint) == ("The spaces are a and b.", "c", "Type one of them.")


def test_message_without_value_or_hint() -> None:
    assert str(UserError("It must be so.")) == "It must be so."
    assert str(UserError("It must be so.", value=None)) == "It must be so. Got None."
    assert str(UserError("It must be so.", value=3)) == "It must be so. Got 3."
    assert UserError("It must be so.").value is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_documented_in_the_tree_and_has_an_exit_code(kind: type[BetanasError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.exit_code == (2 if issubclass(kind, UserError) else 1)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not MissingExtraError])
def test_errors_survive_the_trip_from_another_process(kind: type[BetanasError]) -> None:
    error = kind("A rule.", value=("a", 1), hint="A hint.")

    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is kind
    assert str(arrived) == str(error)
    assert (arrived.rule, arrived.value, arrived.hint) == (error.rule, error.value, error.hint)


def test_missing_extra_says_what_to_install() -> None:
    error = MissingExtraError("plotly", extra="plot", purpose="Drawing figures")

    assert "Drawing figures needs the package plotly" in str(error)
    assert "pip install 'betanas[plot]'" in error.hint
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_store_that_cannot_be_written_is_not_the_users_input() -> None:
    assert not issubclass(StoreError, UserError)
