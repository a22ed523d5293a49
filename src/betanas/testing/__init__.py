"""What each kind of plug-in promises, as functions that check it: in a test, a notebook or a shell.

    from betanas.testing import check_space

    def test_my_space():
        check_space(MySpace)

Each raises `BrokenPromiseError`, an `AssertionError` that says which promise is broken and what was seen; none needs
pytest. BetaNAS's own tests run them over everything that is registered.
"""

from betanas.testing.executors import check_executor
from betanas.testing.objectives import check_objective
from betanas.testing.promises import BrokenPromiseError
from betanas.testing.sources import check_source
from betanas.testing.spaces import check_space, check_vector
from betanas.testing.strategies import check_strategy

__all__ = [
    "BrokenPromiseError",
    "check_executor",
    "check_objective",
    "check_source",
    "check_space",
    "check_strategy",
    "check_vector",
]
