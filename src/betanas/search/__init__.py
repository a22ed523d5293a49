"""Search: strategies suggest, executors train, the store remembers, the study is what a person opens.

`betanas.search` is this package and, as `interface.md` has it, also what a person calls to search: importing any
module in here would otherwise hide a function of the same name.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from betanas.search.study import Study


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **settings: Any) -> Study:
        """Search for a network: see `betanas.calls.search`."""
        from betanas.calls import search

        return search(*arguments, **settings)


sys.modules[__name__].__class__ = _CallablePackage
