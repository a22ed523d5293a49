"""Trials of given networks, each with every seed, in place of a strategy that invents them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import override

from betanas.blueprint import PLAIN_NETWORKS, Blueprint, plain_network
from betanas.search.propose.proposer import Proposal, Proposer
from betanas.search.records import Purpose, TrialRecord, network_key, with_job
from betanas.training.job import Job

if TYPE_CHECKING:
    from torch import nn

Role = Literal["", "searched", "benchmark", "pretrained"]


@dataclass(frozen=True, slots=True)
class Entrant:
    """A network that is trained beside others.

    Attributes:
        name: what tables call it.
        architecture: as plain data (`betanas.models.architecture`).
        params: trainable parameters.
        macs: multiply-accumulates of one image.
        role: whether it came from a search, or is there to be compared with, perhaps with weights trained elsewhere.
        vector: its parameter vector, where it comes from a space.
    """

    name: str
    architecture: Mapping[str, Any]
    params: int
    macs: int
    role: Role = ""
    vector: Mapping[str, float] | None = None

    def build(self) -> nn.Module:
        """The network, its weights drawn from torch's global generator."""
        from betanas.models.architecture import build_network

        return build_network(self.architecture)

    @classmethod
    def of(cls, name: str, blueprint: Blueprint, *, vector: Mapping[str, float] | None = None) -> Entrant:
        """A blueprint's network."""
        return cls(name, blueprint.to_dict(), blueprint.num_params, blueprint.macs, "searched", vector)


def benchmark_entrant(name: str, *, resolution: int, num_classes: int, in_channels: int) -> Entrant:
    """A benchmark network for images of a size; a plain one is a blueprint like any other.

    Raises:
        BlueprintError: there is no such network.
    """
    sizes = {"num_classes": num_classes, "in_channels": in_channels}
    if name in PLAIN_NETWORKS:
        plain = plain_network(name, resolution=resolution, **sizes)
        return Entrant(name, plain.to_dict(), plain.num_params, plain.macs, "benchmark")
    from betanas.models import benchmark_costs

    params, macs = benchmark_costs(name, resolution=resolution, **sizes)
    return Entrant(name, {"network": name, **sizes}, params, macs, "benchmark")


def pretrained_entrant(name: str, *, resolution: int, num_classes: int, in_channels: int) -> Entrant:
    """One of timm's networks that starts from weights trained on ImageNet, for images of a size.

    Weights that have to be downloaded are, here and once.

    Raises:
        BlueprintError: there is no such network, or its weights cannot be had.
        MissingExtraError: timm is not installed.
    """
    from betanas.models import benchmark_costs
    from betanas.pretrained.timm_networks import PREFIX, preprocessing, timm_network

    preprocessing(name)
    sizes = {"num_classes": num_classes, "in_channels": in_channels}
    timm_network(name, **sizes, pretrained=True)
    params, macs = benchmark_costs(name, resolution=resolution, **sizes)
    architecture = {"network": name, **sizes, "resolution": resolution, "pretrained": True}
    return Entrant(f"{name.removeprefix(PREFIX)} (pretrained)", architecture, params, macs, "pretrained")


@dataclass(frozen=True, slots=True)
class Listed:
    """A network and what is trained of it."""

    entrant: Entrant
    job: Job


def listed(
    entrants: Sequence[Entrant], seeds: Sequence[int], make_job: Callable[[Entrant, int], Job]
) -> Iterator[Listed]:
    """Every network with every seed. Seeds are the outer loop: ended early, all have been trained about as often."""
    for seed in seeds:
        for entrant in entrants:
            yield Listed(entrant, make_job(entrant, seed))


def waiting_trial(wanted: Listed, index: int, purpose: Purpose) -> TrialRecord:
    """A trial that waits to be trained."""
    entrant = wanted.entrant
    record = TrialRecord(
        index=index,
        vector=dict(entrant.vector or {}),
        blueprint_key=network_key(wanted.job.network),
        origin="listed",
        state="waiting",
        attempts=0,
        purpose=purpose,
        name=entrant.name,
        role=entrant.role,
        params=entrant.params,
        macs=entrant.macs,
    )
    return with_job(record, wanted.job)


class ListedProposer(Proposer):
    """Has trials trained that wait in a study, in the order of their indices.

    Args:
        jobs: what is to be trained, by the keys of the jobs; other trials that wait are left alone.
        ends: when all of it must have ended, by `time.monotonic`.
    """

    def __init__(self, jobs: Mapping[str, Job], *, ends: float = math.inf) -> None:
        self._jobs = jobs
        self._ends = ends
        self._longest = 0.0

    def tell(self, record: TrialRecord) -> None:
        """See `Proposer.tell`: what a trial took is what the next one is expected to take."""
        if record.wall_seconds and record.job_key in self._jobs:
            self._longest = max(self._longest, record.wall_seconds)

    def propose(self, session: int) -> Proposal | None:
        """See `Proposer.propose`: all its trials wait in the study already."""
        return None

    @override
    def remaining(self) -> int:
        return 0

    @override
    def has_time(self) -> bool:
        budgets = (job.budget for job in self._jobs.values())
        least = max((each.amount for each in budgets if each.unit == "seconds"), default=0.0)
        return monotonic() + max(least, self._longest) <= self._ends

    @override
    def seconds_left(self) -> float:
        return self._ends - monotonic()

    @override
    def wants(self, record: TrialRecord) -> bool:
        return record.job_key in self._jobs

    @override
    def job(self, record: TrialRecord) -> Job:
        return self._jobs[record.job_key]
