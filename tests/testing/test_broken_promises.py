"""Each promise of `betanas.testing` is one that can be broken: a plug-in that breaks it is told which."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from betanas import ArraySource, Blueprint, Observation, Range, Suggestion
from betanas.blueprint import BlueprintBatch
from betanas.errors import SpaceError, VectorError
from betanas.search.executors import ExecutorEvent, TrialEnded, TrialPoint, TrialStarted
from betanas.search.executors.inline import InlineExecutor
from betanas.search.objectives import Accuracy, Compound, Pareto, Scaling
from betanas.search.propose.base import Prediction
from betanas.search.propose.sequences import Random
from betanas.search.records import TrialRecord
from betanas.spaces import BetaNet3
from betanas.testing import (
    BrokenPromiseError,
    check_executor,
    check_objective,
    check_source,
    check_space,
    check_strategy,
)

DOMAIN = BetaNet3.domain
DEFAULT = BetaNet3.presets["default"]


class Space(BetaNet3):
    """BetaNet3 as somebody else's."""

    name: ClassVar[str] = "mine"
    presets: ClassVar[Mapping[str, Mapping[str, Range]]] = {"default": DEFAULT}


def space(**changes: Any) -> type[Space]:
    return type("Broken", (Space,), {"__doc__": "Broken.", **changes})


def blueprint_that(change: Callable[..., Blueprint]) -> dict[str, Any]:
    def blueprint(self: Space, vector: Mapping[str, float], **images: Any) -> Blueprint:
        return change(Space.blueprint(self, vector, **images), vector, **images)

    return {"blueprint": blueprint}


def _raise_for_large(found: Blueprint, vector: Mapping[str, float], **_: Any) -> Blueprint:
    if vector["K"] > 4:
        raise ZeroDivisionError("too deep")
    return found


def _raise_outside_the_ranges(found: Blueprint, vector: Mapping[str, float], **_: Any) -> Blueprint:
    if vector["G0"] > DEFAULT["G0"].high:
        raise ZeroDivisionError("too wide")
    return found


def _different_each_time(found: Blueprint, vector: Mapping[str, float], **_: Any) -> Blueprint:
    return replace(found, latent=found.latent + int(np.random.default_rng().integers(1_000_000)))


def _forgiving(self: Space, vector: Mapping[str, float], **images: Any) -> Blueprint:
    try:
        return Space.blueprint(self, vector, **images)
    except (VectorError, SpaceError):
        return Space.blueprint(self, {name: span.low for name, span in DEFAULT.items()}, resolution=32, num_classes=10)


def _batch_in_reverse(self: Space, vectors: np.ndarray, **images: Any) -> BlueprintBatch:
    return Space.blueprints(self, vectors[::-1], **images)


def _cube_beside_the_ranges(self: Space, points: np.ndarray) -> np.ndarray:
    return Space.from_unit(self, points) * 1.5


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (space(name="Mine"), r"name must be lower case\. Seen: Mine"),
        (space(__doc__=None), "must have a docstring"),
        (space(presets={"default": {name: Range(span.low, span.low) for name, span in DEFAULT.items()}}),
         "must be something to search"),
        (space(**blueprint_that(_raise_for_large)),
         r"any vector in the ranges must give a network\. Seen: ZeroDivisionError: too deep \(\{'k'"),
        (space(**blueprint_that(_raise_outside_the_ranges)),
         r"every value in the domain must give a network: a search may go there\. Seen: ZeroDivisionError: too wide"),
        (space(**blueprint_that(lambda found, vector, **_: replace(found, num_classes=7))),
         r"must be for the images that are asked for\. Seen: \(16, 7, 1\)"),
        (space(**blueprint_that(_different_each_time)), "the same vector must give the same network"),
        (space(blueprint=_forgiving), "a vector that makes no sense must be refused: it must raise VectorError"),
        (space(blueprints=_batch_in_reverse), "must not depend on what is constructed beside it"),
        (space(from_unit=_cube_beside_the_ranges), "the unit cube must be the ranges"),
    ],
)  # fmt: skip
def test_a_space(broken: type[Space], promise: str) -> None:
    with pytest.raises(
        BrokenPromiseError, match=rf"The search space \w+ \(preset default\) breaks a promise: .*{promise}"
    ):
        check_space(broken)


def test_a_space_that_keeps_them() -> None:
    check_space(Space)
    check_space(Space.from_preset().replace(ranges={"k": (2, 3)}))
    check_space("betanet2", vectors=2, seed=7)


class Strategy(Random):
    """Random search as somebody else's."""

    name: ClassVar[str] = "mine"

    def changed(self, suggestion: Suggestion) -> Suggestion:
        return suggestion

    def ask(self, count: int = 1) -> list[Suggestion]:
        return [self.changed(suggestion) for suggestion in super().ask(count)]


def strategy(**changes: Any) -> type[Strategy]:
    return type("Broken", (Strategy,), changes)


def _vector(change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
    return {"changed": lambda self, each: Suggestion(change(dict(each.vector)), each.origin)}


def _the_next(self: Strategy, observations: object, known: object) -> Suggestion:
    """Counts how often it was asked: a state that a resumed search would not have."""
    self.asked = getattr(self, "asked", 0) + 1  # type: ignore[attr-defined]
    return self.suggest(self._stream.first(self.asked)[-1], "mine")  # type: ignore[attr-defined]


def _last_told(self: Strategy, seen: Observation) -> None:
    Random.tell(self, seen)
    self.last = seen.index  # type: ignore[attr-defined]


def _after_that(self: Strategy, each: Suggestion) -> Suggestion:
    return Suggestion(each.vector, f"after {getattr(self, 'last', None)}")


def _too_large(self: Strategy, observations: object, known: object) -> Suggestion:
    rows = self.problem.space.from_unit(np.random.default_rng(0).random((100, len(self.problem.space.free))))
    return self.suggest(rows[~self.problem.feasible(rows)][0], "mine")


def _none(self: Strategy, observations: object, known: object) -> Suggestion:
    raise RuntimeError("nothing comes to mind")


def _only_with_successes(self: Strategy, count: int = 1) -> list[Suggestion]:
    if self.observations and all(seen.state == "failed" for seen in self.observations):
        raise ValueError("max() arg is an empty sequence")
    return Random.ask(self, count)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (strategy(propose=_none), r"must suggest a candidate .* RuntimeError: nothing comes to mind"),
        (strategy(**_vector(lambda vector: dict(reversed(vector.items())))), "must have every parameter, in order"),
        (strategy(**_vector(lambda vector: vector | {"B": 0.31})), "lie in the ranges and keep what is fixed"),
        (strategy(**_vector(lambda vector: {n: np.float64(value) for n, value in vector.items()})), "plain numbers"),
        (strategy(changed=lambda self, each: Suggestion(each.vector, "")), "must say where it comes from"),
        (strategy(propose=_too_large), "candidates must keep the limits"),
        (strategy(propose=lambda self, observations, known: self.suggest(self._stream.first(1)[0], "mine")),
         r"no network must be suggested twice for the same share of the budget\. Seen: 1 of 12"),
        (strategy(tell=_last_told, changed=_after_that),
         "function of what it was told, in whatever order"),
        (strategy(propose=_the_next), "the same whether it is made anew or was asked before"),
        (strategy(ask=lambda self, count=1: Random.ask(self) * count), "asking for several must be asking for one"),
        (strategy(ask=_only_with_successes), r"nothing but failures, must not keep it from suggesting.*max\(\)"),
        (strategy(export_surrogate=lambda self: {}), "told nothing must predict nothing"),
        (strategy(predict_best=lambda self: Prediction(self.observations[0].vector, 0.5, 0.0)
                  if self.observations else None), "a prediction must have a deviation"),
        (strategy(__init__=lambda self, problem, *, seed, options=None: Random.__init__(self, problem, seed=seed)),
         "an unknown option must be refused: it must raise StrategyError.* nothing was raised"),
    ],
)  # fmt: skip
def test_a_strategy(broken: type[Strategy], promise: str) -> None:
    with pytest.raises(BrokenPromiseError, match=rf"The search strategy mine breaks a promise: .*{promise}"):
        check_strategy(broken)


def test_a_strategy_that_keeps_them() -> None:
    check_strategy(Strategy)


class Source(ArraySource):
    """Stripes."""

    name, classes, in_channels, side, parts = "mine", ("one", "two"), 1, 8, ("train", "test")

    def read(self, part: str) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        return np.full((40, 1, 8, 8), 9, dtype=np.uint8), np.arange(40) % 2


def source(**changes: Any) -> type[Source]:
    return type("Broken", (Source,), changes)


def _noise(self: Source, part: str) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng().integers(0, 255, (40, 1, 8, 8), dtype=np.uint8), np.arange(40) % 2


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (source(parts=("test",)), "there must be a part called train"),
        (source(classes=("one", "one")), "two classes or more, all different"),
        (source(in_channels=4), "1 or 3 channels"),
        (source(fingerprint=""), "fingerprint must be the same each time it is asked for, and not empty"),
        (source(stored_side=lambda self, resolution: 500), "no larger than a random crop needs"),
        (source(size=lambda self, part: 41), "must hold as many images as it states"),
        (source(labels=lambda self, part: np.zeros(40, dtype=np.int64)), "must come with the labels that it states"),
        (source(read=_noise, _arrays=lambda self, part: self.read(part)), "must be the same each time it is read"),
        (source(read=lambda self, part: (np.full((40, 1, 8, 8), 9, np.uint8), np.zeros(40, np.int64))),
         r"must be read without .*"),
        (source(read=lambda self, part: (1 / 0, 0)), r"read without an error or a warning\. Seen: ZeroDivisionError"),
        (source(check_part=lambda self, part: None), "a part that it does not have must be refused"),
    ],
)  # fmt: skip
def test_a_source(broken: type[Source], promise: str) -> None:
    with pytest.raises(BrokenPromiseError, match=rf"The data source mine breaks a promise: .*{promise}"):
        check_source(broken)


def test_a_source_that_keeps_them() -> None:
    check_source(Source)
    check_source(Source(None))
    check_source("digits")


KEEPING = {
    "accuracy": Accuracy(),
    "by parameters": Compound("params", 5e6),
    "by latency": Compound("latency", 0.01),
    "by scaling": Scaling(64),
    "a front": Pareto("macs"),
    "no value": lambda record, blueprint: None,
    "not a number": lambda record, blueprint: float("nan"),
}


@pytest.mark.parametrize("objective", KEEPING.values(), ids=KEEPING)
def test_an_objective_that_keeps_them(objective: Any) -> None:
    check_objective(objective)


def _changing(record: TrialRecord, blueprint: Blueprint, calls: list[int] = []) -> float:  # noqa: B006
    calls.append(1)
    return float(len(calls))


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (lambda record, blueprint: "good", r"must give a number or None\. Seen: 'good' for trial 0"),
        (lambda record, blueprint: True, r"must give a number or None\. Seen: True"),
        (lambda record, blueprint: 1 / record.top1, r"for every trial\. Seen: ZeroDivisionError.*trial 1, completed"),
        (lambda record, blueprint: record.images_per_second * 2, r"TypeError.*trial 3"),
        (_changing, r"the same for the same trial\. Seen: 1\.0, then 2\.0"),
    ],
)
def test_an_objective(broken: Any, promise: str) -> None:
    with pytest.raises(BrokenPromiseError, match=rf"The objective \S+ breaks a promise: .*{promise}"):
        check_objective(broken)


class Executor(InlineExecutor):
    """The inline one as somebody else's."""

    name: ClassVar[str] = "mine"

    def changed(self, events: list[ExecutorEvent]) -> list[ExecutorEvent]:
        return events

    def poll(self, timeout: float) -> list[ExecutorEvent]:
        return self.changed(super().poll(timeout))


def executor(change: Callable[[list[ExecutorEvent]], list[ExecutorEvent]]) -> type[Executor]:
    return type("Broken", (Executor,), {"changed": lambda self, events: change(events)})


def _without(kind: type) -> type[Executor]:
    return executor(lambda events: [event for event in events if not isinstance(event, kind)])


def _successful(events: list[ExecutorEvent]) -> list[ExecutorEvent]:
    return [
        replace(event, result=replace(event.result, outcome="completed", cause="", reason=""))
        if isinstance(event, TrialEnded)
        else event
        for event in events
    ]


def _never_idle(self: Executor) -> int:
    return 0


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (_without(TrialStarted), "must start before anything else"),
        (_without(TrialPoint), "points that are told must be the result's curve"),
        (_without(TrialEnded), "a submitted trial must end"),
        (executor(lambda events: [*events, *events[-1:]]), "a trial must end once"),
        (executor(lambda events: events[:1] * bool(events) + events[-1:] + events[1:-1]), "end must be the last of it"),
        (type("Broken", (Executor,), {"idle": property(_never_idle)}), "a worker must become idle"),
        (executor(_successful), r"goes wrong \(raise\) must be a result, failed and exception"),
    ],
)
def test_an_executor(broken: type[Executor], promise: str) -> None:
    with pytest.raises(BrokenPromiseError, match=rf"The executor mine breaks a promise: .*{promise}"):
        check_executor(broken, patience=0.0 if "idle" in promise or "submitted" in promise else 600.0)


def test_none_of_it_needs_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; from betanas.testing import check_space\n"
    code += "check_space('betanet2', vectors=2)"
    subprocess.run([sys.executable, "-c", code], check=True)
