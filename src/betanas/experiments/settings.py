"""What is asked of an experiment: each setting is declared once, and command line and Python read the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from betanas.declaration import Group, Kind, names, number, setting, switch, text, whole
from betanas.errors import UserError
from betanas.experiments.errors import ExperimentError
from betanas.search.objectives import MNASNET_EXPONENT
from betanas.search.settings import BUDGET, SETTINGS, SIDE, MachineSettings


def _or_none(kind: Kind) -> Kind:
    """The same values, and `none` for no limit."""

    def read(given: Any) -> Any:
        return None if given in (None, "none") else kind.read(given)

    return replace(kind, rule=f"{kind.rule}, or none", read=read)


def _as_typed(read: Callable[[Any], Any]) -> Callable[[Any], str]:
    """Checks a value and keeps its text: an experiment's folder knows it by that."""

    def check(given: Any) -> str:
        read(given)
        return str(given)

    return check


def _sides(given: Any) -> tuple[int, ...]:
    return tuple(SIDE.read(each) for each in (given.split(",") if isinstance(given, str) else given))


def _lookahead(given: Any) -> Any:
    return () if given in ("none", ["none"]) else SETTINGS["lookahead"].kind.read(given)


def _like(name: str, help_text: str = "", *, default: Any = None) -> Any:
    """The search's setting of a name, as a setting of an experiment."""
    known = SETTINGS[name]
    return setting(known.kind, help_text or known.help, default=default)


_BUDGET = replace(BUDGET, read=_as_typed(BUDGET.read))
_COUNT = _or_none(SETTINGS["max_params"].kind)
_SIDES = Kind(f"sides of images with commas between them, each {SIDE.rule}", "32,64", _sides, list, "SIDES")
_LOOKAHEAD = replace(SETTINGS["lookahead"].kind, read=_lookahead)
_SOME = whole(1, 100_000, example="3")
_NUMBER = number("a number", lambda _: True, example="-0.07")


@dataclass(frozen=True, slots=True)
class _ExperimentSettings(Group):
    error: ClassVar[type[UserError]] = ExperimentError


@dataclass(frozen=True, slots=True)
class _TrainingExperiment(_ExperimentSettings):
    """What experiments that train have in common.

    Attributes:
        trust_files: whether the Python files that a study names may be run.
    """

    data: str = _like("data", default="digits")
    space: str = _like("space", default="betanet3")
    blocks: str = _like("blocks", default="ordinary")
    preset: str = _like("preset", default="default")
    max_params: int | None = setting(_COUNT, "Most parameters of a network: 30M.", default=None)
    max_macs: int | None = setting(_COUNT, "Most multiply-accumulates an image: 30M, or none.", default="30M")
    recipe: str = _like("recipe", default="fast")
    batch_size: int | None = _like("batch_size", "Images a step: the recipe's unless said otherwise.")
    seed: int = _like("seed", default=0)
    device: str = setting(
        text("a device's name", example="cpu"), "Where networks train: auto, cpu, cuda, cuda:N or mps.", default="auto"
    )
    workers: int | None = _like("workers", "Trainings at the same time.")
    executor: str = _like("executor", default="local")
    trust_files: bool = False

    @property
    def machine(self) -> MachineSettings:
        """Where and how networks train."""
        return MachineSettings(executor=self.executor, devices=(self.device,), workers=self.workers)


@dataclass(frozen=True, slots=True)
class ScalingSettings(_TrainingExperiment):
    """Of the first hypothesis. A study that gives the vectors has its own space, blocks and preset.

    Attributes:
        resolutions: the search's first.
        max_params, max_macs: of a vector's network at the largest resolution.
        seed: of the drawn vectors and the division of the images.
    """

    resolutions: tuple[int, ...] = setting(_SIDES, "Sides of the images, small to large, with commas.", default="16,24")
    vectors: int = setting(whole(2, 10_000, example="8"), "How many vectors.", default=6)
    seeds: int = setting(_SOME, "Trainings of each network and budget.", default=2)
    seconds: str = setting(_BUDGET, "Of the trainings for equal seconds: 30s.", default="2s", flag="--budget")
    epochs: str = setting(_BUDGET, "Of the trainings for equal epochs: 3epochs.", default="2epochs")
    study: str | None = setting(
        text("a study's directory or URL", example="runs/first", metavar="PLACE"),
        "A study whose trials, best to worst, give the vectors; they are drawn from the space otherwise.",
        default=None,
    )
    with_published: bool = setting(switch(), "The report's vector is one of them.", default=False)
    rule: str = setting(
        text("a scaling rule's name", example="self-similar", known="betanas.spaces.scaling:available_rules"),
        "The scaling rule, as in betanas scale.",
        default="self-similar",
    )


@dataclass(frozen=True, slots=True)
class StrategySettings(_ExperimentSettings):
    """Of the second hypothesis.

    Attributes:
        recordings: the file of recorded trials.
        space, blocks, preset, resolution, classes, channels, batch_size: what was recorded.
        max_params, max_macs, lookahead: limits of the searches; recordings say nothing beyond their own.
        noise: standard deviation of one training.
    """

    recordings: str = setting(text("a file of recorded trials", example="trials.jsonl"), "Recorded trials.", flag="")
    strategy: str = _like("strategy", "Whose advantage is in question.", default="gpei")
    against: tuple[str, ...] = setting(
        names("strategies' names with commas between them", example="random,sobol"),
        "The others, with commas.",
        default=("random", "sobol", "evolution", "local"),
    )
    seeds: int = setting(_SOME, "Searches of each strategy.", default=5)
    trials: int = setting(_SOME, "Usable trainings of each search.", default=30)
    space: str = _like("space", default="betanet3")
    blocks: str = _like("blocks", default="ordinary")
    preset: str = _like("preset", default="default")
    resolution: int = setting(SIDE, "Side of the recorded images.", default=32)
    classes: int = setting(_SOME, "Their classes.", default=100)
    channels: int = setting(whole(1, 1024, example="3"), "Their channels.", default=3)
    batch_size: int = _like("batch_size", "Images a step.", default=100)
    max_params: int | None = setting(_COUNT, "Most parameters of a network: 30M, or none.", default="30M")
    max_macs: int | None = setting(_COUNT, "Most multiply-accumulates an image: 30M, or none.", default="30M")
    lookahead: tuple[tuple[int, int], ...] = setting(
        _LOOKAHEAD, "Most parameters at a larger resolution: 224:50M; none for no limit.", default=("224:50M",)
    )
    noise: float | None = setting(
        number("a number from 0 to 1", lambda value: 0 <= value <= 1, example="0.005"),
        "Of one training, where no vector was recorded twice.",
        default=None,
    )
    jobs: int = setting(whole(1, 1024, example="2"), "Searches at the same time.", default=1)

    @property
    def strategies(self) -> tuple[str, ...]:
        """All of them, the one in question first."""
        return (self.strategy, *self.against)


@dataclass(frozen=True, slots=True)
class ObjectiveSettings(_TrainingExperiment):
    """Of the third hypothesis.

    Attributes:
        budget: of a trial of the search within seconds.
        epochs: of a trial of the other search, steps will do; None for as many as a typical network trains in `budget`.
        exponent: of the penalty; MnasNet's unless said otherwise.
        seed: of the first pair; the others follow it.
    """

    resolution: int = setting(SIDE, "Side of the images.", default=16)
    budget: str = setting(_BUDGET, "Of a trial of the search within seconds: 20s.", default="1s")
    epochs: str | None = setting(
        _BUDGET,
        "Of a trial of the other search; without it, what a typical network trains in the budget.",
        default=None,
    )
    exponent: float = setting(_NUMBER, "Of the penalty on multiply-accumulates.", default=MNASNET_EXPONENT)
    total: str = setting(_BUDGET, "Training seconds of each search: 5m.", default="10s")
    pairs: int = setting(_SOME, "Pairs of searches.", default=2)
    leaders: int = setting(_SOME, "Of each search, trained again.", default=1)
    final: str = setting(_BUDGET, "Budget of their trainings: 60s.", default="3s")
    seeds: int = setting(_SOME, "Trainings of each leader.", default=2)
    strategy: str = _like("strategy", "Of both searches.", default="gpei")
