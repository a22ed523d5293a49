"""Scaling rules that change the parameter vector with the resolution, and what every rule has in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from betanas.blueprint import Blueprint, BlueprintBatch, FloatArray, IntArray
from betanas.cost import count_params
from betanas.errors import SpaceError
from betanas.spaces.base import SearchSpace, check_input

# Where growing-k measures how fast parameters grow: the report's range (Figure 28), evenly spaced in log2(R).
_FITTED_AT = tuple(round(64 * 2 ** (step / 2)) for step in range(9))

# c = 0 is the report's scheme. At c = 1 the last feature map grows as fast as the image, so no contraction is added.
_CANDIDATES = np.linspace(0.0, 1.0, 41)


@dataclass(frozen=True)
class Origin:
    """The network that is scaled: a vector at the resolution it was found at.

    Attributes:
        space: gives the vector its meaning.
        vector: a value for each parameter of the space.
        resolution: R0, the side at which every rule gives this very network.
        num_classes: classes to tell apart.
        in_channels: channels of the image.

    Raises:
        VectorError: the vector does not fit the space.
        SpaceError: the resolution, classes or channels make no sense.
    """

    space: SearchSpace
    vector: Mapping[str, float]
    resolution: int
    num_classes: int
    in_channels: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "vector", self.space.check(self.vector))
        check_input(self.resolution, self.num_classes, self.in_channels)

    def batch(self, vectors: FloatArray, resolution: int | IntArray) -> BlueprintBatch:
        """The networks of rows of parameters at a resolution, or at one each, for this origin's images."""
        return self.space.blueprints(
            vectors, resolution=resolution, num_classes=self.num_classes, in_channels=self.in_channels
        )


@dataclass(frozen=True)
class Knobs:
    """The rules' settings.

    Attributes:
        growth: of `growing-k`: the exponent p of parameters ~ R**p that c is fitted to.
        width_power: of `slow-width`: the exponent p of full width ~ R**p.
        alpha, beta, gamma: of `compound`: depth, width and resolution for each unit of phi. The defaults are those of
            EfficientNet (Tan and Le, 2019, section 3.3).

    Raises:
        SpaceError: a setting under which nothing would scale.
    """

    growth: float = 2.0
    width_power: float = 0.5
    alpha: float = 1.2
    beta: float = 1.1
    gamma: float = 1.15

    def __post_init__(self) -> None:
        if not (math.isfinite(self.growth) and self.growth > 0):
            raise SpaceError("The growth of parameters must be an exponent above 0.", value=self.growth)
        if not 0 <= self.width_power <= 1:
            raise SpaceError("The width's power must lie between 0 (constant) and 1.", value=self.width_power)
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not 1 <= value <= 4:
                raise SpaceError(f"Compound scaling's {name} must lie between 1 and 4.", value=value)
        if not 1.01 <= self.gamma <= 4:
            raise SpaceError("Compound scaling's gamma must lie between 1.01 and 4.", value=self.gamma)


class ScalingRule(ABC):
    """Gives the scaled network of every resolution.

    Attributes:
        name: what the command line calls it.
        summary: what grows how, in a few words.
        needs: the parameter that it moves; empty where it fits every space.
        origin: the network that is scaled.
        settings: the numbers that decide it, fitted ones included.

    Raises:
        SpaceError: the origin's space has no such parameter.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[str] = ""

    def __init__(self, origin: Origin, knobs: Knobs) -> None:
        if not self.fits(origin.space):
            raise SpaceError(
                f"The scaling rule {self.name} needs a space with a parameter {self.needs}.",
                value=origin.space.name,
                hint="Type --rule self-similar or --rule compound, which fit every space.",
            )
        self.origin = origin
        self.settings: Mapping[str, float] = {}

    @classmethod
    def fits(cls, space: SearchSpace) -> bool:
        """Whether the rule can scale a space's networks."""
        return not cls.needs or cls.needs in space.domain

    @abstractmethod
    def batch(self, resolution: int) -> BlueprintBatch:
        """The network at a resolution, as a batch of one."""

    def blueprint(self, resolution: int) -> Blueprint:
        """The network at a resolution."""
        return self.batch(resolution)[0]


class VectorRule(ScalingRule):
    """A rule that moves the parameter vector; the space's own construction does the rest."""

    @abstractmethod
    def vector(self, resolution: int) -> dict[str, float]:
        """The vector at a resolution; values that would leave the space's domain stay at its edge."""

    def batch(self, resolution: int) -> BlueprintBatch:
        """The network at a resolution, as a batch of one."""
        return self.origin.batch(self.origin.space.to_array([self.vector(resolution)]), resolution)

    def _moved(self, parameter: str, value: float) -> dict[str, float]:
        allowed = self.origin.space.domain[parameter]
        return {**self.origin.vector, parameter: min(max(value, allowed.low), allowed.high)}


class SelfSimilar(VectorRule):
    """The report's rule: the same vector at another resolution."""

    name = "self-similar"
    summary = "the same vector at every resolution (the report's)"

    def vector(self, resolution: int) -> dict[str, float]:
        """The origin's, whatever the resolution."""
        return dict(self.origin.vector)


class GrowingK(VectorRule):
    """k + c * log2(R/R0): the last feature map grows with the image, so fewer contractions, and layers, are added.

    c is the candidate in [0, 1] whose parameters' growth comes nearest to the one asked for; `settings` holds the
    growth that it gives.
    """

    name = "growing-k"
    summary = "k + c*log2(R/R0): larger last feature maps, fewer added layers"
    needs = "k"

    def __init__(self, origin: Origin, knobs: Knobs) -> None:
        super().__init__(origin, knobs)
        c, reached = self._fit(knobs.growth)
        self.settings = {"c": c, "growth": reached}

    def vector(self, resolution: int) -> dict[str, float]:
        """The origin's with another k."""
        return self._at(resolution, self.settings["c"])

    def _at(self, resolution: int, c: float) -> dict[str, float]:
        octaves = math.log2(resolution / self.origin.resolution)
        return self._moved("k", self.origin.vector["k"] + c * octaves)

    def _fit(self, growth: float) -> tuple[float, float]:
        logs = []
        for resolution in _FITTED_AT:
            rows = [self._at(resolution, float(c)) for c in _CANDIDATES]
            batch = self.origin.batch(self.origin.space.to_array(rows), resolution)
            logs.append(np.log(count_params(batch).astype(np.float64)))
        octaves = np.log(np.array(_FITTED_AT, dtype=np.float64))
        slopes = np.polyfit(octaves, np.stack(logs), 1)[0]
        best = int(np.argmin(np.abs(slopes - growth)))
        return float(_CANDIDATES[best]), float(slopes[best])


class SlowWidth(VectorRule):
    """The full width G0*R grows like R**p: G0 is scaled by (R/R0)**-(1-p)."""

    name = "slow-width"
    summary = "full width G0*R grows like R**p"
    needs = "G0"

    def __init__(self, origin: Origin, knobs: Knobs) -> None:
        super().__init__(origin, knobs)
        self.settings = {"p": knobs.width_power}

    def vector(self, resolution: int) -> dict[str, float]:
        """The origin's with another G0."""
        factor = (resolution / self.origin.resolution) ** -(1 - self.settings["p"])
        return self._moved("G0", self.origin.vector["G0"] * factor)
