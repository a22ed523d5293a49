"""Recorded trials on disk: JSON lines, one trial each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from betanas.errors import StudyError
from betanas.search.records import TrialRecord
from betanas.training.result import CurvePoint


@dataclass(frozen=True, slots=True)
class Recording:
    """What a replay needs of a trial that trained to the end of its budget.

    Attributes:
        vector: the parameter vector.
        top1: validation accuracy in [0, 1].
        curve: (training seconds, accuracy) at each evaluation; the end alone where nothing else was recorded.
        training_seconds, wall_seconds: by the budget clock; from start to end.
        params: parameters.
        seed: of the training, which tells trainings of one vector apart.
    """

    vector: Mapping[str, float]
    top1: float
    curve: tuple[tuple[float, float], ...]
    training_seconds: float
    wall_seconds: float
    params: int
    seed: int = 0

    @classmethod
    def of(cls, record: TrialRecord) -> Recording | None:
        """A trial's record as a recording; None unless it completed with a curve."""
        if record.state != "completed" or record.top1 is None or not record.curve:
            return None
        seconds = record.training_seconds or record.curve[-1].seconds
        return cls(
            vector=dict(record.vector),
            top1=record.top1,
            curve=tuple((point.seconds, point.accuracy) for point in record.curve),
            training_seconds=seconds,
            wall_seconds=record.wall_seconds or seconds,
            params=record.params,
            seed=record.seed,
        )


def write_recordings(path: Path, recordings: Iterable[Recording]) -> None:
    """Write JSON lines, atomically."""
    from betanas.files import write_atomically

    write_atomically(path, "".join(json.dumps(asdict(each)) + "\n" for each in recordings).encode())


def read_recordings(path: Path) -> list[Recording]:
    """Read what `write_recordings` wrote.

    Raises:
        StudyError: the file is missing, or a line is not a recording.
    """
    hint = "Record it first: benchmarks/README.md says how."
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StudyError("A file of recorded trials must exist.", value=str(path), hint=hint) from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(_read(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise StudyError(f"Line {number} of {path.name} must be a recorded trial.", value=line[:60]) from error
    return found


def _read(row: dict[str, Any]) -> Recording:
    curve = tuple((float(seconds), float(accuracy)) for seconds, accuracy in row.pop("curve"))
    return Recording(**row, curve=curve)


def training_noise(recordings: Sequence[Recording]) -> float | None:
    """Standard deviation of one training's accuracy, pooled over vectors recorded more than once; None without any."""
    groups: dict[tuple[float, ...], list[float]] = defaultdict(list)
    for each in recordings:
        groups[tuple(each.vector.values())].append(each.top1)
    repeated = [np.array(values) for values in groups.values() if len(values) > 1]
    freedom = sum(len(values) - 1 for values in repeated)
    if not freedom:
        return None
    return float(np.sqrt(sum(((values - values.mean()) ** 2).sum() for values in repeated) / freedom))


def as_curve(points: Iterable[tuple[float, float]]) -> tuple[CurvePoint, ...]:
    """(seconds, accuracy) pairs as a learning curve, for what reads curves: loss and steps are not recorded."""
    return tuple(
        CurvePoint(seconds, step, float(step), float("nan"), accuracy)
        for step, (seconds, accuracy) in enumerate(points, start=1)
    )
