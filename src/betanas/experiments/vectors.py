"""Which vectors an experiment trains: drawn from a space, or spread over a study's ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from betanas.blueprint import Blueprint
from betanas.experiments.errors import ExperimentError
from betanas.search.feasibility import Problem
from betanas.search.propose import get_strategy
from betanas.search.records import TrialRecord
from betanas.search.study import Study

# Points of the sequence that are looked at for each vector that is wanted.
_LOOKED_AT = 20


@dataclass(frozen=True)
class NamedVector:
    """A parameter vector and what tables call it."""

    name: str
    vector: Mapping[str, float]


def drawn_vectors(problem: Problem, count: int, *, seed: int) -> list[NamedVector]:
    """Feasible points of a scrambled Sobol sequence, more than enough to choose from."""
    asked = get_strategy("sobol")(problem, seed=seed).ask(_LOOKED_AT * count)
    return [NamedVector(f"sobol {place}", dict(each.vector)) for place, each in enumerate(asked)]


def ranked_vectors(study: Study) -> list[NamedVector]:
    """The completed trials of a study with different networks, best objective first.

    Raises:
        ExperimentError: there is none.
    """
    done = [trial for trial in study.trials() if trial.state == "completed" and trial.objective is not None]
    ordered = sorted(done, key=lambda trial: (-(trial.objective or 0.0), trial.index))
    firsts: dict[str, TrialRecord] = {}
    for trial in ordered:
        firsts.setdefault(trial.blueprint_key, trial)
    if not firsts:
        raise ExperimentError("The study must hold completed trials.", value=study.location)
    return [NamedVector(f"trial {trial.index}", dict(trial.vector)) for trial in firsts.values()]


def admitted(
    candidates: Iterable[NamedVector],
    build: Callable[[NamedVector], Sequence[Blueprint]],
    *,
    max_params: int | None,
    max_macs: int | None,
) -> list[tuple[NamedVector, tuple[Blueprint, ...]]]:
    """The candidates whose largest network keeps the limits and whose smallest is not another's, with their networks.

    Args:
        candidates: in order of preference.
        build: gives a vector's networks, small to large.
        max_params: of the largest; None for no limit.
        max_macs: likewise.
    """
    seen: set[str] = set()
    found = []
    for candidate in candidates:
        networks = tuple(build(candidate))
        largest = networks[-1]
        if networks[0].key in seen or (max_params is not None and largest.num_params > max_params):
            continue
        if max_macs is not None and largest.macs > max_macs:
            continue
        seen.add(networks[0].key)
        found.append((candidate, networks))
    return found


def spread(count: int, available: int) -> list[int]:
    """`count` positions, evenly spaced from the first to the last of a number of items."""
    if count == 1:
        return [0]
    return [round(place * (available - 1) / (count - 1)) for place in range(count)]
