"""A trial's training budget as people type it: `30s`, `5m`, `1h`, `500steps`, `20epochs`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from betanas.errors import QuantityError

BudgetUnit = Literal["seconds", "steps", "epochs"]

_BUDGET = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)\s*")
_SUFFIXES: dict[str, tuple[BudgetUnit, int]] = {
    "s": ("seconds", 1),
    "m": ("seconds", 60),
    "h": ("seconds", 3600),
    "steps": ("steps", 1),
    "step": ("steps", 1),
    "epochs": ("epochs", 1),
    "epoch": ("epochs", 1),
}


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a trial may train.

    Attributes:
        amount: training seconds, optimiser steps or passes over the training set.
        unit: which of the three. Seconds count training steps with their data work alone: not evaluation, start-up
            or warm-up (section 4.4.3 of the report).
    """

    amount: float
    unit: BudgetUnit

    def __post_init__(self) -> None:
        if self.unit not in get_args(BudgetUnit):
            raise QuantityError("A budget counts seconds, steps or epochs.", value=self.unit)
        if not (math.isfinite(self.amount) and self.amount > 0):
            raise QuantityError("A budget must be positive.", value=self.amount, hint="Type, for example, 5m.")
        if self.unit == "steps" and self.amount != int(self.amount):
            raise QuantityError("A budget in steps must be a whole number.", value=self.amount, hint="Type 500steps.")

    @classmethod
    def parse(cls, text: str | Budget) -> Budget:
        """Read a budget; one that has been read already passes through.

        Raises:
            QuantityError: the text is not a budget.
        """
        if isinstance(text, Budget):
            return text
        match = _BUDGET.fullmatch(text)
        if not match or match[2] not in _SUFFIXES:
            raise QuantityError(
                "A training budget must be a number with one of the units s, m, h, steps or epochs.",
                value=text,
                hint="Type, for example, 30s, 5m, 500steps or 20epochs.",
            )
        unit, factor = _SUFFIXES[match[2]]
        return cls(float(match[1]) * factor, unit)

    def part(self, share: float) -> Budget:
        """A share of it, in (0, 1]; at least one step."""
        amount = self.amount * share
        return Budget(float(max(round(amount), 1)) if self.unit == "steps" else amount, self.unit)

    def __str__(self) -> str:
        if self.unit != "seconds":
            return f"{_exactly(self.amount)}{self.unit}"
        for suffix, factor in (("h", 3600), ("m", 60)):
            if self.amount >= factor and self.amount % factor == 0:
                return f"{_exactly(self.amount / factor)}{suffix}"
        return f"{_exactly(self.amount)}s"


def _exactly(amount: float) -> str:
    """A number such that reading it gives the same one: without an exponent, whole ones without a point."""
    text = format(Decimal(repr(float(amount))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
