"""What a confirmation found, as it is kept beside a study's trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from betanas.blueprint import Blueprint
from betanas.intervals import MeanInterval, accuracy_interval
from betanas.search.records import Attachment

KIND = "confirmation"


@dataclass(frozen=True, slots=True)
class ConfirmationRun:
    """One fresh training: its seed and what it reached (None where it failed, with the reason)."""

    seed: int
    top1: float | None
    top5: float | None
    training_seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A network and its fresh trainings.

    Attributes:
        trial: the trial it comes from; None for the model's maximum.
        vector: its parameter vector.
        blueprint: its network.
        runs: fresh trainings, in the order of seeds.
    """

    trial: int | None
    vector: Mapping[str, float]
    blueprint: Blueprint
    runs: tuple[ConfirmationRun, ...] = ()

    @property
    def interval(self) -> MeanInterval | None:
        """Mean accuracy with its 95% interval; None where no run has succeeded."""
        values = [run.top1 for run in self.runs if run.top1 is not None]
        return accuracy_interval(values) if values else None

    def to_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {
            "trial": self.trial,
            "vector": dict(self.vector),
            "blueprint": self.blueprint.to_dict(),
            "runs": [asdict(run) for run in self.runs],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Confirmation:
        """Read what `to_dict` wrote."""
        runs = tuple(ConfirmationRun(**run) for run in data["runs"])
        return cls(data["trial"], data["vector"], Blueprint.from_dict(data["blueprint"]), runs)


def confirmations(attachments: Sequence[Attachment]) -> tuple[Confirmation, ...]:
    """The confirmations among a study's attachments, best mean first; those without a successful run last."""
    found = [Confirmation.from_dict(kept.document) for kept in attachments if kept.kind == KIND]
    return tuple(sorted(found, key=lambda one: one.interval.mean if one.interval else -1.0, reverse=True))
