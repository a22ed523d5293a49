"""What every experiment's result has: a title, a hypothesis, verdicts. Read from the `results.json` of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from betanas.analysis.tables.documents import readable
from betanas.experiments.statistics import Estimate
from betanas.experiments.verdict import Verdict

FORMAT_VERSION = 1

# Whatever goes wrong while a result is read means that it is damaged.
of_experiment = partial(readable, "An experiment's result")


@dataclass(frozen=True, slots=True)
class Experiment:
    """The words of an experiment's result.

    Attributes:
        name: `scaling`, `search` or `objective`.
        title, hypothesis: in words.
        verdicts: the experiment's own first.
    """

    name: str
    title: str
    hypothesis: str
    verdicts: tuple[Verdict, ...]


def parse_experiment(document: Mapping[str, Any]) -> Experiment:
    """Read what all experiments' results have.

    Raises:
        AnalysisError: it is damaged, or of a newer format.
    """
    with of_experiment(document, FORMAT_VERSION):
        verdicts = tuple(Verdict.from_dict(each) for each in document["verdicts"])
        name, title, hypothesis = (str(document[word]) for word in ("experiment", "title", "hypothesis"))
        return Experiment(name, title, hypothesis, verdicts)


def ends(data: Mapping[str, Any], scale: float = 1.0) -> tuple[float | None, float | None, float | None]:
    """An interval's value, lower and upper end."""
    found = Estimate.from_dict(data)
    value, low, high = (None if end is None else end * scale for end in (found.value, found.low, found.high))
    return value, low, high
