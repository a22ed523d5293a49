"""What a comparison found, row by row: Tables 7 and 8 of the report, and the curves behind Figures 26 and 27."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
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
        latency: seconds of an answer, where it was timed.
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
    latency: float | None = None


# Seconds of an answer by a network's name and the side of its images.
Latencies = Mapping[tuple[str, int], float]
_NOT_TIMED: Latencies = MappingProxyType({})


def compared_rows(
    records: Iterable[TrialRecord], recipes: Mapping[str, Recipe], *, latencies: Latencies = _NOT_TIMED
) -> tuple[ComparedRow, ...]:
    """The rows of a comparison's trials, best first; trainings of another budget or recipe are another row.

    Args:
        records: of trials that have ended; others are left out. Of equal trainings the last counts.
        recipes: by digest.
        latencies: of the networks that were timed.
    """
    ended = {record.job_key: record for record in records if record.ended is not None}
    groups: dict[tuple[object, ...], list[TrialRecord]] = {}
    for record in ended.values():
        what = (record.name, record.blueprint_key, record.resolution, record.params, record.budget, record.recipe)
        groups.setdefault(what, []).append(record)
    rows = [_row(group, recipes, latencies) for group in groups.values()]
    return tuple(sorted(rows, key=lambda row: row.top1.mean if row.top1 else -1.0, reverse=True))


def comparison_document(
    records: Iterable[TrialRecord],
    recipes: Mapping[str, Recipe],
    *,
    title: str = "",
    data: str = "",
    latencies: Latencies = _NOT_TIMED,
) -> dict[str, Any]:
    """A comparison as plain data, as `betanas.analysis.tables.comparison` reads it.

    Args:
        records: of its trials, with their learning curves.
        recipes: by digest.
        title: of the comparison.
        data: what the networks were trained on, in words.
        latencies: of the networks that were timed.
    """
    records = [record for record in records if record.ended is not None]
    rows = compared_rows(records, recipes, latencies=latencies)
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


def against_pretrained(records: Iterable[TrialRecord], rows: Sequence[ComparedRow]) -> tuple[str, ...]:
    """Whether fine-tuning a pretrained network would have done: a sentence for each, against the best other network.

    Accuracies are compared seed by seed, which train and judge on the same images.

    Args:
        records: of the comparison's trials.
        rows: of its table, best first.
    """
    own = next((row for row in rows if row.role != "pretrained" and row.top1 is not None), None)
    tuned = [row for row in rows if row.role == "pretrained" and row.top1 is not None]
    if own is None:
        return ()
    done = [record for record in records if record.state == "completed"]
    return tuple(_against(own, row, done) for row in tuned)


def _against(own: ComparedRow, tuned: ComparedRow, done: Sequence[TrialRecord]) -> str:
    on_test = own.judged_on == tuned.judged_on == "test"

    def accuracies(row: ComparedRow) -> dict[int, float]:
        """By seed, of the row's newest trainings."""
        return {
            record.seed: found
            for record in done
            if (record.name, record.resolution, str(record.budget)) == (row.name, row.resolution, row.budget)
            and (found := record.test_top1 if on_test else record.top1) is not None
        }

    ours, theirs = accuracies(own), accuracies(tuned)
    gains = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    costs = [
        f"{share:.3g} of its {what}"
        for what, mine, other in (
            ("parameters", own.params, tuned.params),
            ("multiply-accumulates", own.macs, tuned.macs),
            ("time for an answer", own.latency, tuned.latency),
        )
        if mine and other and (share := mine / other)
    ]
    gain = mean_interval(gains) if gains else None
    if gain is None:
        judged = "they were trained with different seeds"
    else:
        words = gain.words(lambda value: f"{100 * value:+.2f}")
        judged = f"{100 * gain.mean:+.2f} points ({words})"
    return f"{own.name} against {tuned.name}: {judged}, with {', '.join(costs)}."


def _row(records: list[TrialRecord], recipes: Mapping[str, Recipe], latencies: Latencies) -> ComparedRow:
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
        latency=latencies.get((first.name, first.resolution)),
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
