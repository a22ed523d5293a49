"""What a comparison found, row by row: Tables 7 and 8 of the report, and the curves behind Figures 26 and 27."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from betanas.intervals import MeanInterval, mean_interval
from betanas.search.records import TrialRecord
from betanas.training.recipe import Recipe

JudgedOn = Literal["test", "validation"]


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A network under one recipe, budget and resolution.

    Attributes:
        name, role, params, macs, resolution: of the network.
        budget: of its trainings; empty where an older comparison does not say.
        recipe: the name of theirs; likewise.
        judged_on: what the accuracies are of: test images, or validation images where there are no others.
        top1, top5: accuracy in [0, 1]; None where no training ended well.
        training_seconds, images_per_second: by the budget clock.
        peak_memory: bytes, the largest over the seeds.
        failed: trainings that did not complete.
    """

    name: str
    role: str
    params: int
    macs: int
    resolution: int
    budget: str
    recipe: str
    judged_on: JudgedOn
    top1: MeanInterval | None
    top5: MeanInterval | None
    training_seconds: MeanInterval | None
    images_per_second: MeanInterval | None
    peak_memory: int | None
    failed: int = 0


def compared_rows(records: Iterable[TrialRecord], recipes: Mapping[str, Recipe]) -> tuple[ComparedRow, ...]:
    """The rows of a comparison's trials, best first; trainings of another budget or recipe are another row.

    Args:
        records: of trials that have ended; others are left out. Of equal trainings the last counts.
        recipes: by digest.
    """
    ended = {record.job_key: record for record in records if record.ended is not None}
    groups: dict[tuple[object, ...], list[TrialRecord]] = {}
    for record in ended.values():
        what = (record.name, record.blueprint_key, record.resolution, record.params, record.budget, record.recipe)
        groups.setdefault(what, []).append(record)
    rows = [_row(group, recipes) for group in groups.values()]
    return tuple(sorted(rows, key=lambda row: row.top1.mean if row.top1 else -1.0, reverse=True))


def comparison_document(
    records: Iterable[TrialRecord], recipes: Mapping[str, Recipe], *, title: str = "", data: str = ""
) -> dict[str, Any]:
    """A comparison as plain data, as `betanas.analysis.tables.comparison` reads it.

    Args:
        records: of its trials, with their learning curves.
        recipes: by digest.
        title: of the comparison.
        data: what the networks were trained on, in words.
    """
    records = [record for record in records if record.ended is not None]
    rows = compared_rows(records, recipes)
    return {
        "title": title,
        "data": data,
        "recipe": ", ".join(dict.fromkeys(row.recipe for row in rows if row.recipe)),
        "budget": ", ".join(dict.fromkeys(row.budget for row in rows if row.budget)),
        "table": [{**asdict(row), **_intervals(row)} for row in rows],
        "histories": [
            {
                **{name: getattr(record, name) for name in ("name", "resolution", "seed")},
                **_training(record, recipes),
                "curve": [asdict(point) for point in record.curve],
            }
            for record in records
            if record.state == "completed"
        ],
    }


def _row(records: list[TrialRecord], recipes: Mapping[str, Recipe]) -> ComparedRow:
    first = records[0]
    done = [record for record in records if record.state == "completed"]
    on_test = bool(done) and all(record.test_top1 is not None for record in done)

    def over(name: str) -> MeanInterval | None:
        values = [value for record in done if (value := getattr(record, name)) is not None]
        return mean_interval(values) if values else None

    peaks = [record.peak_memory for record in done if record.peak_memory is not None]
    return ComparedRow(
        **{name: getattr(first, name) for name in ("name", "role", "params", "macs", "resolution")},
        **_training(first, recipes),
        judged_on="test" if on_test else "validation",
        top1=over("test_top1" if on_test else "top1"),
        top5=over("test_top5" if on_test else "top5"),
        training_seconds=over("training_seconds"),
        images_per_second=over("images_per_second"),
        peak_memory=max(peaks) if peaks else None,
        failed=len(records) - len(done),
    )


def _training(record: TrialRecord, recipes: Mapping[str, Recipe]) -> dict[str, Any]:
    recipe = recipes.get(record.recipe)
    return {"budget": str(record.budget or ""), "recipe": recipe.name if recipe else ""}


def _intervals(row: ComparedRow) -> dict[str, Any]:
    return {
        name: None if found is None else {"mean": found.mean, "margin": found.margin, "n": found.n}
        for name in ("top1", "top5", "training_seconds", "images_per_second")
        for found in [getattr(row, name)]
    }
