"""What an executor promises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from betanas import models
from betanas.data import open_source
from betanas.errors import DataError
from betanas.search.executors import (
    Assignment,
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    TrialPoint,
    TrialStarted,
    WorkerSetup,
)
from betanas.search.executors.registry import EXECUTORS
from betanas.spaces import get_space, published
from betanas.testing.promises import Promises
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.recipe import load_recipe
from betanas.training.result import TrialResult

MESSAGE = "this network is broken on purpose"


class Fault(NamedTuple):
    """How a network goes wrong: the latent size that asks for it, and what its trial must end as."""

    kind: str
    latent: int
    ending: tuple[str, str]


# `misbehaving` makes such networks. No search comes near their sizes by chance.
FAULTS = (
    Fault("raise", 9901, ("failed", "exception")),
    Fault("nan", 9902, ("failed", "non_finite")),
    Fault("out_of_memory", 9903, ("infeasible", "out_of_memory")),
)

_RESOLUTION, _BATCH = 16, 64


def check_executor(
    executor: type[Executor] | str, *, settings: ExecutorSettings | None = None, patience: float = 600.0
) -> None:
    """Check that an executor keeps its promises, by real trials of a few steps on digits.

    Args:
        executor: its class, name or `.py` file.
        settings: which devices it uses, and how; one worker on the processor unless given.
        patience: seconds after which a worker or a trial counts as lost.

    Raises:
        BrokenPromiseError: it does not; the message says which promise.
    """
    made = EXECUTORS.get(executor) if isinstance(executor, str) else executor
    settings = settings or ExecutorSettings(devices=("cpu",), workers=1)
    promises = Promises(f"The executor {made.name}")
    with _networks_unchanged():
        with promises.holding("it must come up, train trials and end"), made(_setup(), settings) as running:
            checks = _Checks(running, promises, patience)
            checks.check_events()
            checks.check_seeds()
            checks.check_faults()
        setup = _setup()
        images = replace(setup.first.images, fingerprint="something else")
        changed = replace(setup, first=replace(setup.first, images=images))
        rule = "images that are not those of the study must be refused when a worker opens them"
        with (
            promises.refusing(DataError, rule, saying="same as when the study began"),
            made(changed, settings) as running,
        ):
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                running.poll(0.5)


class _Checks:
    """The checks of an executor that has been started."""

    def __init__(self, executor: Executor, promises: Promises, patience: float) -> None:
        self.executor, self.promises, self.patience = executor, promises, patience

    def events(self, assignment: Assignment) -> list[ExecutorEvent]:
        """What happens to a trial, from its submission to its end."""
        deadline = time.monotonic() + self.patience
        while not self.executor.idle:
            self.executor.poll(0.5)
            self.promises.require(time.monotonic() < deadline, "a worker must become idle", f"{self.patience:g} s")
        self.executor.submit(assignment)
        seen: list[ExecutorEvent] = []
        while not any(isinstance(event, TrialEnded) for event in seen):
            seen += [event for event in self.executor.poll(0.5) if getattr(event, "index", None) == assignment.index]
            self.promises.require(time.monotonic() < deadline, "a submitted trial must end", f"{self.patience:g} s")
        return seen

    def train(self, assignment: Assignment) -> TrialResult:
        ends = [event for event in self.events(assignment) if isinstance(event, TrialEnded)]
        self.promises.require(len(ends) == 1, "a trial must end once", f"{len(ends)} times")
        return ends[0].result

    def check_events(self) -> None:
        require = self.promises.require
        events = self.events(_assignment(3, budget="4steps"))
        first, last = events[0], events[-1]
        require(isinstance(first, TrialStarted), "a trial must start before anything else happens to it", first)
        require(isinstance(last, TrialEnded), "a trial's end must be the last of it", last)
        assert isinstance(last, TrialEnded)  # noqa: S101 - for the type checker
        points = [event.point for event in events if isinstance(event, TrialPoint)]
        result = last.result
        require(points == list(result.curve), "the points that are told must be the result's curve", points)
        good = result.outcome == "completed" and result.steps == 4 and result.top1 is not None
        require(good, "a trial of 4 steps must end with 4 steps and an accuracy", result)
        idle, capacity = self.executor.idle, self.executor.capacity
        require(idle == capacity, "a worker must be idle again after a trial", f"{idle} of {capacity}")

    def check_seeds(self) -> None:
        one, other = (self.train(_assignment(5)) for _ in range(2))
        rule = "the same job must give the same result on a processor"
        curves = [[point.loss for point in result.curve] for result in (one, other)]
        same = one.top1 == other.top1 and curves[0] == curves[1]
        if "cpu" in self.executor.settings.devices:
            self.promises.require(same, rule, f"{one.top1}, then {other.top1}")

    def check_faults(self) -> None:
        for fault in FAULTS:
            result = self.train(_assignment(7, latent=fault.latent))
            found = (result.outcome, result.cause)
            rule = f"a network that goes wrong ({fault.kind}) must be a result, {' and '.join(fault.ending)}"
            self.promises.require(found == fault.ending, rule, found)
            told = result.reason and (fault.kind != "raise" or MESSAGE in result.reason)
            self.promises.require(told, "a failed trial must say why", result)
            after = self.train(_assignment(8))
            self.promises.require(after.outcome == "completed", "the next trial must be none the worse", after)


@contextmanager
def _networks_unchanged() -> Iterator[None]:
    """Undo what the plug-in does where it runs in this process."""
    build = models.build
    try:
        yield
    finally:
        models.build = build


def _setup() -> WorkerSetup:
    return WorkerSetup(_assignment(0).job, plugins=(str(Path(__file__).with_name("misbehaving.py")),))


def _assignment(index: int, *, budget: str = "2steps", latent: int | None = None) -> Assignment:
    vector = published("betanet3") | {"G0": 1.0, "G1": 1.0}
    blueprint = get_space("betanet3").blueprint(vector, resolution=_RESOLUTION, num_classes=10, in_channels=1)
    network = replace(blueprint, latent=latent) if latent else blueprint
    images = JobImages("digits", open_source("digits").fingerprint, _RESOLUTION, validation_share=0.2)
    recipe = load_recipe("fast").with_settings(batch_size=_BATCH)
    return Assignment(index, 1, Job(network.to_dict(), images, recipe, Budget.parse(budget), seed=index))
