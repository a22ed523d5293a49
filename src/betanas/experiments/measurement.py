"""One training of an experiment, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from betanas.search.records import TrialRecord


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one training gave.

    Attributes:
        network: what the experiment calls it.
        resolution, seed, params, macs: of the training and its network.
        outcome, reason: as in `TrialResult`.
        accuracy: top-1 in [0, 1] of the best evaluation's weights on the test images, or on the validation images
            where there are no others; None unless it completed.
        validation: the best evaluation's top-1.
        training_seconds, epochs, images_per_second: by the budget clock.
        curve: (training seconds, validation top-1) at each evaluation.
    """

    network: str
    resolution: int
    seed: int
    params: int
    macs: int
    outcome: str
    reason: str = ""
    accuracy: float | None = None
    validation: float | None = None
    training_seconds: float | None = None
    epochs: float | None = None
    images_per_second: float | None = None
    curve: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, record: TrialRecord) -> Measurement:
        """A trial of an experiment's trainings."""
        common: dict[str, Any] = {
            "network": record.name,
            "outcome": record.state,
            **{name: getattr(record, name) for name in ("resolution", "seed", "params", "macs", "reason")},
        }
        if record.state != "completed":
            return cls(**common)
        return cls(
            **common,
            accuracy=record.top1 if record.test_top1 is None else record.test_top1,
            validation=record.top1,
            training_seconds=record.training_seconds,
            epochs=record.epochs,
            images_per_second=record.images_per_second,
            curve=tuple((point.seconds, point.accuracy) for point in record.curve),
        )
