"""`betanas experiment objective` as tables: the pairs of searches, and what their leaders cost and reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from betanas.analysis.tables.experiment import ends, of_experiment
from betanas.analysis.tables.table import Table


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One search and its leaders: means over leaders and seeds.

    Attributes:
        pair: of searches with one seed.
        arm: `seconds` (accuracy within training seconds) or `macs` (accuracy with a penalty after equal epochs).
        trials, search_seconds: of the search.
        percent: accuracy after the final trainings.
        macs: of the leaders.
        seconds_per_epoch: of the final trainings.
        seconds_to_target: training seconds to an accuracy that both arms of the pair reach.
        target_percent: that accuracy.
        trainings: final trainings that completed.
    """

    pair: int
    arm: str
    trials: int
    search_seconds: float
    percent: float
    macs: float
    seconds_per_epoch: float
    seconds_to_target: float
    target_percent: float
    trainings: int


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """A contrast between the arms over pairs of searches, with its 95% interval.

    Attributes:
        measure: what is compared.
        ratio: whether it is the `macs` arm's value over the `seconds` arm's, rather than a difference in points of
            the `seconds` arm to the `macs` arm.
        pairs: of searches.
        value, low, high: of the contrast.
    """

    measure: str
    ratio: bool
    pairs: int
    value: float | None
    low: float | None
    high: float | None


def arm_table(document: Mapping[str, Any]) -> Table[ArmRow]:
    """Two rows for each pair.

    Raises:
        AnalysisError: the result is damaged.
    """
    with of_experiment(document):
        searches = {(each["pair"], each["arm"]): each for each in document["searches"]}
        rows = []
        for each in document["results"]:
            searched = searches[each["pair"], each["arm"]]
            real: dict[str, Any] = {
                name: float(each[name]) for name in ("macs", "seconds_per_epoch", "seconds_to_target")
            }
            real |= {"percent": 100 * float(each["accuracy"]), "target_percent": 100 * float(each["target"])}
            real["search_seconds"] = float(searched["training_seconds"])
            counts = {"pair": int(each["pair"]), "trials": int(searched["trials"]), "trainings": int(each["trainings"])}
            rows.append(ArmRow(arm=str(each["arm"]), **counts, **real))
        return Table(tuple(rows))


def contrast_table(document: Mapping[str, Any]) -> Table[ContrastRow]:
    """Accuracy first, then the ratios.

    Raises:
        AnalysisError: the result is damaged.
    """
    with of_experiment(document):
        rows = [
            ContrastRow("accuracy (points)", False, int(document["accuracy"]["n"]), *ends(document["accuracy"], 100))
        ]
        for name, words in (
            ("macs", "multiply-accumulates"),
            ("epoch", "seconds an epoch"),
            ("sooner", "seconds to a common accuracy"),
        ):
            rows.append(ContrastRow(words, True, int(document[name]["n"]), *ends(document[name])))
        return Table(tuple(rows))
