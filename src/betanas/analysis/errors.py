"""What an analysis refuses, and why."""

from __future__ import annotations

from betanas.errors import UserError


class AnalysisError(UserError):
    """A table, a figure or a piece of the report that cannot be made: no such name, a damaged document."""


class MissingDataError(AnalysisError):
    """The study does not hold (yet) what a table or figure shows: too few trials, no surrogate, no comparison."""
