"""Made-up measurements whose conclusions are known, and results made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from betanas.experiments.leaders import ARMS, Arm, LeaderTraining, conclude_objective
from betanas.experiments.measurement import Measurement
from betanas.experiments.scaling import EPOCHS, SECONDS, conclude_scaling
from betanas.experiments.search import SimulatedSearch, conclude_strategies

SIDES = (32, 64)


def make_scaled(
    accuracy: Callable[[int, int, int], float | None], *, vectors: int = 8, seeds: int = 3
) -> dict[str, list[Measurement]]:
    """Trainings of so many vectors at two resolutions; MACs grow fourfold, parameters not at all."""
    rows = []
    for vector in range(vectors):
        for place, side in enumerate(SIDES):
            for seed in range(seeds):
                found = accuracy(vector, place, seed)
                outcome = "completed" if found is not None else "failed"
                macs = (vector + 1) * 10**6 * 4**place
                rows.append(
                    Measurement(f"v{vector}", side, seed, 10**5, macs, outcome, accuracy=found, curve=((1.0, 0.1),))
                )
    return {EPOCHS: rows, SECONDS: rows}


def make_searches(seeds: int = 10, trials: int = 20) -> list[SimulatedSearch]:
    """Of `good`, which is ahead by 3 points plus a bit for each seed, and of `poor` and `equal`, which wander."""
    found = []
    for seed in range(seeds):
        luck = 0.001 * (seed % 3)
        for name, last in (("good", 0.58 + luck), ("poor", 0.55), ("equal", 0.58 + 0.001 * ((seed + 1) % 3))):
            held = tuple(last * (i + 1) / trials for i in range(trials))
            found.append(SimulatedSearch(name, seed, held, tuple(20.0 * (i + 1) for i in range(trials))))
    return found


def make_leaders(gain: Callable[[int], float], *, pairs: int = 4, seeds: int = 2) -> list[LeaderTraining]:
    """Leaders of so many pairs; those of the search within seconds are better by a gain and have half the MACs."""
    found = []
    for pair in range(pairs):
        for arm in ARMS:
            found += [LeaderTraining(arm, pair, 0, make_leader(arm, pair, seed, gain(pair))) for seed in range(seeds)]
    return found


def make_leader(arm: Arm, pair: int, seed: int, gain: float) -> Measurement:
    ours = arm == "seconds"
    accuracy = 0.5 + 0.01 * pair + (gain if ours else 0.0)
    curve = ((15.0, accuracy), (30.0, accuracy)) if ours else ((15.0, accuracy / 2), (30.0, accuracy))
    macs = (1 if ours else 2) * 10**6
    return Measurement(
        arm, 32, seed, 10**5, macs, "completed", "", accuracy, accuracy, 30.0, 6.0 if ours else 3.0, 1000.0, curve
    )


def result(experiment: str, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": 1,
        "experiment": experiment,
        "settings": {"strategy": "good", "data": "<img src=x>", "seeds": 3},
        "title": "Made up <script>",
        "hypothesis": "Something holds.",
        "hardware": {"processor": "abacus"},
        "versions": {"python": "3"},
        **document,
    }


@pytest.fixture
def scaled() -> Callable[..., dict[str, list[Measurement]]]:
    return make_scaled


@pytest.fixture
def searches() -> Callable[..., list[SimulatedSearch]]:
    return make_searches


@pytest.fixture
def leaders() -> Callable[..., list[LeaderTraining]]:
    return make_leaders


@pytest.fixture(scope="session")
def results() -> dict[str, dict[str, Any]]:
    """A result of each experiment, as its folder would hold it."""
    trained = make_scaled(lambda vector, place, seed: 0.3 + 0.02 * vector + 0.04 * place + 0.001 * seed, vectors=7)
    simulated = make_searches()
    finals = make_leaders(lambda pair: 0.02 + 0.001 * pair)
    spent = [{"arm": arm, "pair": p, "trials": 15, "training_seconds": 300.0} for p in range(4) for arm in ARMS]
    regrets = conclude_strategies(simulated, "good", ["poor", "equal"], optimum=0.6)
    return {
        "scaling": result(
            "scaling",
            {
                **asdict(conclude_scaling(trained, SIDES)),
                "trainings": [{"kind": kind, **asdict(one)} for kind, rows in trained.items() for one in rows],
            },
        ),
        "search": result(
            "search",
            {**asdict(regrets), "derived": {"optimum": 0.6}, "searches": [asdict(one) for one in simulated]},
        ),
        "objective": result("objective", {**asdict(conclude_objective(finals)), "searches": spent}),
    }
