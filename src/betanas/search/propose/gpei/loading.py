"""Imports the model's side of `gpei` when it is needed, without the noise that Ax makes."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from betanas.search.propose.gpei.model import Model


def model_class() -> type[Model]:
    """`gpei.model.Model`: it needs torch and Ax, five seconds of imports that a Sobol stage does not wait for.

    Ax greets with a log line and its imports with warnings about its own code, neither of which is the user's business.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from betanas.search.propose.gpei.model import Model
    finally:
        logging.disable(disabled)
    return Model
