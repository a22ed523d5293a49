"""What a confirmation found: its trainings, which are trials of the study, by network.

Before schema 3 a confirmation was a document beside the trials; those are read too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from betanas.blueprint import Blueprint
from betanas.intervals import MeanInterval, accuracy_interval
from betanas.search.records import Attachment, TrialRecord

if TYPE_CHECKING:
    from betanas.search.store.store import Store

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


def candidate_name(trial: int | None) -> str:
    """What a confirmed network is called."""
    return "the model's maximum" if trial is None else f"trial {trial}"


def read_confirmations(store: Store) -> tuple[Confirmation, ...]:
    """A study's confirmations, best mean first; those without a successful run last."""
    return ranked(confirmed_in(store.attachments(KIND)), confirmed_by_trials(store))


def confirmed_in(attachments: Sequence[Attachment]) -> tuple[Confirmation, ...]:
    """The confirmations of before schema 3."""
    return tuple(Confirmation.from_dict(kept.document) for kept in attachments if kept.kind == KIND)


def confirmed_by_trials(store: Store) -> tuple[Confirmation, ...]:
    """The confirmations whose trainings are trials."""
    trained: dict[str, list[TrialRecord]] = {}
    for record in store.trials(apart="confirmation"):
        trained.setdefault(record.blueprint_key, []).append(record)
    if not trained:
        return ()
    searched: dict[str, int] = {}
    for record in sorted(store.trials(), key=lambda record: -record.share):
        if record.state == "completed":
            searched.setdefault(record.blueprint_key, record.index)
    return tuple(
        Confirmation(searched.get(key), records[0].vector, store.blueprint(records[0].index), _runs(records))
        for key, records in trained.items()
    )


def ranked(*found: Iterable[Confirmation]) -> tuple[Confirmation, ...]:
    """Confirmations with those of one network put together, best mean first; those without a successful run last."""
    together: dict[tuple[str, int | None], Confirmation] = {}
    for one in (one for some in found for one in some):
        key = one.blueprint.key, one.trial
        before = together.get(key)
        together[key] = one if before is None else replace(before, runs=(*before.runs, *one.runs))
    return tuple(sorted(together.values(), key=lambda one: one.interval.mean if one.interval else -1.0, reverse=True))


def _runs(records: Iterable[TrialRecord]) -> tuple[ConfirmationRun, ...]:
    return tuple(
        ConfirmationRun(record.seed, record.top1, record.top5, record.training_seconds or 0.0, record.reason)
        for record in records
        if record.ended is not None
    )
