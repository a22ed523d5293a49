"""Networks side by side under the same recipe, over several seeds: Tables 7 and 8, the data of Figures 26 and 27.

A comparison is a folder. Every training in it has a folder of its own and resumes exactly; what has ended is a line in
`results.jsonl`. So a comparison can be interrupted, resumed, and extended by networks and seeds.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from betanas.data.images import Images
from betanas.intervals import mean_interval
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.job import Job, JobImages
from betanas.training.kept import TrainingFolder
from betanas.training.result import Cause, CurvePoint, Outcome, TrialResult

_JOURNAL = "results.jsonl"


@dataclass(frozen=True)
class Entrant:
    """A network that takes part.

    Attributes:
        name: what tables call it.
        architecture: as plain data; equal architectures are the same network.
        build: gives the network, drawing its weights from torch's global generator.
        params: trainable parameters.
        macs: multiply-accumulates of one image.
    """

    name: str
    architecture: Mapping[str, Any]
    build: Callable[[], nn.Module]
    params: int
    macs: int


@dataclass(frozen=True)
class Entry:
    """One training of a comparison.

    Attributes:
        key: digest of all that decides the result; the same training is not repeated.
        name, params, macs: of the network.
        resolution: it was trained at.
        seed: it was trained with.
        outcome, cause, reason: as in `TrialResult`.
        result: of the training; None where it failed.
    """

    key: str
    name: str
    params: int
    macs: int
    resolution: int
    seed: int
    outcome: Outcome
    cause: Cause = ""
    reason: str = ""
    result: TrialResult | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entry:
        """Read what `dataclasses.asdict` wrote."""
        result = data["result"]
        if result is not None:
            # Earlier versions wrote the results of completed trainings alone, without saying so.
            result = TrialResult.from_dict({"outcome": "completed", **result})
        return cls(**{**data, "result": result})


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: of the values.
        margin: half the width of the 95% interval by Student's t; None with fewer than two values.
        n: how many values.
    """

    mean: float
    margin: float | None
    n: int


@dataclass(frozen=True)
class Row:
    """A row of Table 7 or 8.

    Attributes:
        name, params, macs, resolution: of the network.
        top1, top5: test accuracy in [0, 1]; None where there was no test set or no training ended well.
        training_seconds, images_per_second: by the budget clock.
        peak_memory: bytes, the largest over the seeds.
        failed: trainings that did not complete.
    """

    name: str
    params: int
    macs: int
    resolution: int
    top1: Estimate | None
    top5: Estimate | None
    training_seconds: Estimate | None
    images_per_second: Estimate | None
    peak_memory: int | None
    failed: int = 0


@dataclass(frozen=True)
class History:
    """A line of Figure 26: one training's validation accuracy against epoch and time."""

    name: str
    resolution: int
    seed: int
    curve: tuple[CurvePoint, ...] = field(default=())


class Comparison:
    """A stored comparison.

    Args:
        folder: holds it; made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries = {entry.key: entry for entry in _read_journal(folder / _JOURNAL)}

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The trainings that have ended, in the order of their ending."""
        return tuple(self._entries.values())

    def run(
        self,
        entrants: Sequence[Entrant],
        *,
        engine: TrialEngine,
        data: Mapping[str, Any],
        budget: str,
        seeds: Sequence[int],
        patience: int = 0,
        test: Images | None = None,
        on_point: Callable[[Entrant, int, CurvePoint], None] | None = None,
    ) -> Iterator[Entry]:
        """Train what has not been trained yet; gives every asked-for training as it is known.

        Seeds are the outer loop: interrupted early, every network has been trained about as often.

        Args:
            entrants: the networks.
            engine: holds the images, the recipe and the resolution.
            data: what the images are, as plain data.
            budget: as typed: `60s` for equal seconds, `200epochs` for convergence.
            seeds: of weights, order and augmentation.
            patience: evaluations without progress that end a training; 0 for none.
            test: images judged once at the end of each training.
            on_point: shown every evaluation.
        """
        for seed in seeds:
            for entrant in entrants:
                job = Job(
                    network=entrant.architecture,
                    images=JobImages(data["source"], data["fingerprint"], engine.material.resolution),
                    recipe=engine.recipe,
                    budget=Budget.parse(budget),
                    seed=seed,
                    patience=patience,
                    test=test is not None,
                    keep=True,
                )
                key = _key_of(job, data, budget)
                if key not in self._entries:
                    show = _shown(on_point, entrant, seed)
                    entry = self._train(entrant, job, key, engine=engine, test=test, on_point=show)
                    self._append(entry)
                yield self._entries[key]

    def table(self) -> tuple[Row, ...]:
        """One row for each network and resolution, best first."""
        groups: dict[tuple[str, int, int], list[Entry]] = {}
        for entry in self.entries:
            groups.setdefault((entry.name, entry.resolution, entry.params), []).append(entry)
        rows = [_row(entries) for entries in groups.values()]
        return tuple(sorted(rows, key=lambda row: row.top1.mean if row.top1 else -1.0, reverse=True))

    def histories(self) -> tuple[History, ...]:
        """The data of Figure 26."""
        return tuple(
            History(entry.name, entry.resolution, entry.seed, entry.result.curve)
            for entry in self.entries
            if entry.result is not None
        )

    def to_dict(self) -> dict[str, Any]:
        """Table and histories as plain data; the rows are also Figure 27's points, by resolution and parameters."""
        return {
            "table": [asdict(row) for row in self.table()],
            "histories": [asdict(history) for history in self.histories()],
        }

    def _train(
        self,
        entrant: Entrant,
        job: Job,
        key: str,
        *,
        engine: TrialEngine,
        test: Images | None,
        on_point: Callable[[CurvePoint], bool] | None,
    ) -> Entry:
        folder = self._folder / "running" / key
        result = engine.train(
            entrant.build,
            budget=job.budget,
            seed=job.seed,
            patience=job.patience,
            test=test,
            folder=TrainingFolder(folder, job, processes=engine.processes),
            on_point=on_point,
        )
        shutil.rmtree(folder, ignore_errors=True)
        return Entry(
            key=key,
            name=entrant.name,
            params=entrant.params,
            macs=entrant.macs,
            resolution=job.images.resolution,
            seed=job.seed,
            outcome=result.outcome,
            cause=result.cause,
            reason=result.reason,
            result=result if result.outcome == "completed" else None,
        )

    def _append(self, entry: Entry) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _JOURNAL
        line = json.dumps(asdict(entry)) + "\n"
        with path.open("r+b" if path.exists() else "w+b") as file:
            # A line that a crash left half-written has no end: it gets one, and is skipped when read.
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self._entries[entry.key] = entry


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and 95% interval (Student's t) of values; None where there is none."""
    if not values:
        return None
    found = mean_interval(values)
    return Estimate(found.mean, found.high - found.mean if found.n > 1 else None, found.n)


def _row(entries: Sequence[Entry]) -> Row:
    first = entries[0]
    results = [entry.result for entry in entries if entry.result is not None]

    def over(name: str) -> Estimate | None:
        values = [getattr(result, name) for result in results]
        return estimate([value for value in values if value is not None])

    peaks = [result.peak_memory for result in results if result.peak_memory is not None]
    return Row(
        name=first.name,
        params=first.params,
        macs=first.macs,
        resolution=first.resolution,
        top1=over("test_top1"),
        top5=over("test_top5"),
        training_seconds=over("training_seconds"),
        images_per_second=over("images_per_second"),
        peak_memory=max(peaks) if peaks else None,
        failed=len(entries) - len(results),
    )


def _key_of(job: Job, data: Mapping[str, Any], budget: str) -> str:
    document = {
        "architecture": job.network,
        "data": dict(data),
        "resolution": job.images.resolution,
        "recipe": job.recipe.to_dict(),
        "budget": budget,
        "seed": job.seed,
        "patience": job.patience,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def _shown(
    on_point: Callable[[Entrant, int, CurvePoint], None] | None, entrant: Entrant, seed: int
) -> Callable[[CurvePoint], bool]:
    def show(point: CurvePoint) -> bool:
        if on_point is not None:
            on_point(entrant, seed, point)
        return True

    return show


def _read_journal(path: Path) -> Iterator[Entry]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            # Torn by a crash: its training is done again, or resumed.
            continue
        yield Entry.from_dict(data)
