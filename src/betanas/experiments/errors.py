"""What an experiment refuses, and why."""

from __future__ import annotations

from betanas.errors import UserError


class ExperimentError(UserError):
    """An experiment that cannot be run as asked for, or a folder that holds another one."""
