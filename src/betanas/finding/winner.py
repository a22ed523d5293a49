"""Which network of a study is trained to the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from betanas.intervals import MeanInterval
from betanas.search.confirmed import candidate_name
from betanas.search.study import Study


@dataclass(frozen=True)
class Winner:
    """A network that is worth the time that is left.

    Attributes:
        name: what it is called.
        network: as plain data.
        params: trainable parameters.
        macs: multiply-accumulates of one image.
        trial: the trial it comes from; None for the model's maximum and for a baseline.
        vector: its parameter vector; empty for a baseline.
        interval: of its trainings with fresh seeds; None where it had none.
        baseline: whether it is a plain network that learned more than all that were searched.
    """

    name: str
    network: Mapping[str, Any]
    params: int
    macs: int
    trial: int | None
    vector: Mapping[str, float]
    interval: MeanInterval | None
    baseline: bool = False


def winner(study: Study) -> Winner:
    """The best confirmed network, else the best trial's; a baseline where it beat every trial in equal time.

    Raises:
        StudyError: no trial has completed.
    """
    best, searched = study.best(), study.best("observed").accuracy or 0.0
    plain = [each for each in study.baselines() if each.state == "completed" and (each.top1 or 0.0) > searched]
    if plain:
        first = max(plain, key=lambda each: each.top1 or 0.0)
        network = study.job(first.index).network
        return Winner(first.name, network, first.params, first.macs, None, {}, None, baseline=True)
    blueprint = best.blueprint
    return Winner(
        name=candidate_name(best.trial),
        network=blueprint.to_dict(),
        params=blueprint.num_params,
        macs=blueprint.macs,
        trial=best.trial,
        vector=best.vector,
        interval=best.interval,
    )
