"""What a search space is: named real parameters with ranges, and the network that a point among them describes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

import numpy as np
from typing_extensions import override

from betanas.blocks import BLOCKS, Blocks
from betanas.blueprint import Blueprint, BlueprintBatch, FloatArray, IntArray
from betanas.errors import SpaceError, VectorError, did_you_mean
from betanas.quantities import MAX_RESOLUTION, MIN_RESOLUTION
from betanas.spaces.variants import variant_of


@dataclass(frozen=True, slots=True)
class Range:
    """The closed interval in which a parameter is searched; a fixed parameter has `low == high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (_is_number(self.low) and _is_number(self.high)):
            raise SpaceError("A range must have finite numbers as its ends.", value=f"{self.low}:{self.high}")
        if self.low > self.high:
            raise SpaceError(
                "A range must run from its lower to its upper end.",
                value=f"{self.low:g}:{self.high:g}",
                hint=f"Type {self.high:g}:{self.low:g}.",
            )

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to search."""
        return self.low == self.high

    @property
    def span(self) -> float:
        """The interval's length."""
        return self.high - self.low

    @property
    def middle(self) -> Range:
        """A fixed range at the interval's middle."""
        value = self.low + self.span / 2
        return Range(value, value)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g}" if self.fixed else f"{self.low:g}:{self.high:g}"


class SearchSpace(ABC):
    """A space of networks described by real numbers alone.

    A space of your own is one class with `name`, `presets`, `domain` and `blueprint`, registered by
    `betanas.register_space`. `blueprints` may be overridden to construct many networks at once; the default builds
    them one by one.

    Attributes:
        name: what the command line calls it.
        presets: ranges by preset name; each must name every parameter, in the same order.
        domain: the widest values for which `blueprint` works: what `--range` and a vector are checked against.
        meanings: what each parameter decides, in a few words for `betanas describe`; may be left out.
        designs: vectors of known networks by name, which a search tries first, in this order; there may be none.
        block_parameters: those that decide nothing but squeeze-excitation and activation, which `with_blocks` replaces.
        blocks: what the networks' blocks are; only `with_blocks` changes it.
        ordinary: the class whose networks a variant's are made of; None for a class that is no variant.
    """

    name: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Range]]]
    domain: ClassVar[Mapping[str, Range]]
    meanings: ClassVar[Mapping[str, str]] = MappingProxyType({})
    designs: ClassVar[Mapping[str, Mapping[str, float]]] = MappingProxyType({})
    block_parameters: ClassVar[tuple[str, ...]] = ()
    blocks: ClassVar[Blocks] = "ordinary"
    ordinary: ClassVar[type[SearchSpace] | None] = None

    def __init__(self, parameters: Mapping[str, Range], *, preset: str = "custom") -> None:
        self._check_names(parameters, SpaceError, "ranges")
        for name, wanted in parameters.items():
            self._check_domain(name, wanted)
            self._check_meaning(name, wanted)
        self._parameters = MappingProxyType({name: parameters[name] for name in self.domain})
        self.preset = preset

    @classmethod
    def from_preset(cls, preset: str = "default") -> Self:
        """The space with the ranges of one of its presets.

        Raises:
            SpaceError: the space has no such preset.
        """
        if preset not in cls.presets:
            raise SpaceError(
                f"The space {cls.name} has the presets {', '.join(cls.presets)}.",
                value=preset,
                hint=did_you_mean(preset, cls.presets, f"Type, for example, --preset {next(iter(cls.presets))}."),
            )
        return cls(cls.presets[preset], preset=preset)

    @abstractmethod
    def blueprint(
        self, vector: Mapping[str, float], *, resolution: int, num_classes: int, in_channels: int = 3
    ) -> Blueprint:
        """The network that a vector describes at a resolution.

        Args:
            vector: a value for each parameter, inside `domain`; it need not lie inside the searched ranges.
            resolution: side of the input image, in pixels.
            num_classes: classes to tell apart.
            in_channels: channels of the image.

        Raises:
            VectorError: a parameter is missing, unknown or outside `domain`.
            SpaceError: the resolution, classes or channels make no sense.
        """

    def blueprints(
        self, vectors: FloatArray, *, resolution: int | IntArray, num_classes: int, in_channels: int = 3
    ) -> BlueprintBatch:
        """The networks of many vectors: rows of shape [n, parameters], in the order of `parameters`.

        Args:
            vectors: the rows.
            resolution: side of the input image, in pixels: one for all, or one each, shape [n].
            num_classes: classes to tell apart.
            in_channels: channels of the image.
        """
        sides = np.broadcast_to(resolution, len(vectors)).tolist()
        return BlueprintBatch.of(
            [
                self.blueprint(self.to_vector(row), resolution=side, num_classes=num_classes, in_channels=in_channels)
                for row, side in zip(vectors, sides, strict=True)
            ]
        )

    @property
    def parameters(self) -> Mapping[str, Range]:
        """The searched range of every parameter, in order."""
        return self._parameters

    @property
    def free(self) -> tuple[str, ...]:
        """The parameters that are searched: those that are not fixed."""
        return tuple(name for name, searched in self._parameters.items() if not searched.fixed)

    def known_designs(self) -> dict[str, dict[str, float]]:
        """The `designs` that lie within the searched ranges, with their fixed values for fixed parameters."""
        found = {
            name: {
                parameter: searched.low if searched.fixed else vector[parameter]
                for parameter, searched in self._parameters.items()
            }
            for name, vector in self.designs.items()
        }
        return {
            name: vector
            for name, vector in found.items()
            if all(vector[parameter] in searched for parameter, searched in self._parameters.items())
        }

    def replace(
        self,
        *,
        ranges: Mapping[str, tuple[float, float] | Range] | None = None,
        fixed: Mapping[str, float] | None = None,
    ) -> Self:
        """The same space with other ranges for some parameters (`--range k=2:4`) or fixed values (`--fix B=0.3`).

        Raises:
            SpaceError: a parameter is unknown, named twice, or leaves the domain.
        """
        changed = dict(self._parameters)
        twice = set(ranges or {}) & set(fixed or {})
        if twice:
            raise SpaceError("A parameter takes a range or a fixed value, not both.", value=", ".join(sorted(twice)))
        wanted = {name: _to_range(name, given) for name, given in (ranges or {}).items()}
        wanted |= {name: Range(value, value) for name, value in (fixed or {}).items()}
        for name, new in wanted.items():
            if name not in changed:
                raise SpaceError(
                    f"The space {self.name} has the parameters {', '.join(self.domain)}.",
                    value=name,
                    hint=f"{did_you_mean(name, changed)} Names are case sensitive: k and K differ.".strip(),
                )
            changed[name] = new
        return type(self)(changed, preset=self.preset if not wanted else "custom")

    def with_blocks(self, blocks: str) -> SearchSpace:
        """The same space with other blocks (`--blocks lite`): a vector's network keeps its layers, widths and sides.

        Args:
            blocks: `lite` has no squeeze-excitation and ReLU6 everywhere, `lite-hardswish` Hardswish; `ordinary` is
                the space as it is. Ranges of the `block_parameters`, which decide nothing then, become fixed.

        Raises:
            SpaceError: there are no such blocks.
        """
        if blocks not in BLOCKS:
            raise SpaceError(
                f"The blocks of a space are {', '.join(BLOCKS)}.",
                value=blocks,
                hint=did_you_mean(blocks, BLOCKS, "Type --blocks lite."),
            )
        made = variant_of(self.ordinary or type(self), blocks)
        idle = made.block_parameters if made.ordinary else ()
        ranges = {name: searched.middle if name in idle else searched for name, searched in self._parameters.items()}
        return made(ranges, preset=self.preset)

    def check(self, vector: Mapping[str, float]) -> dict[str, float]:
        """The vector in the order of `parameters`, as floats.

        Raises:
            VectorError: a parameter is missing, unknown, not a number or outside the domain.
        """
        self._check_names(vector, VectorError, "values")
        checked = {}
        for name, allowed in self.domain.items():
            value = vector[name]
            if not _is_number(value):
                raise VectorError(f"The parameter {name} must be a finite number.", value=value)
            if value not in allowed:
                raise VectorError(
                    f"The parameter {name} must lie between {allowed.low:g} and {allowed.high:g}.", value=value
                )
            checked[name] = float(value)
        return checked

    def to_array(self, vectors: Iterable[Mapping[str, float]]) -> FloatArray:
        """Checked vectors as rows, shape [n, parameters]."""
        rows = [tuple(self.check(vector).values()) for vector in vectors]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self._parameters))

    def to_vector(self, row: Sequence[float] | FloatArray) -> dict[str, float]:
        """A row in the order of `parameters` as a vector."""
        return {name: float(value) for name, value in zip(self._parameters, row, strict=True)}

    def from_unit(self, points: FloatArray) -> FloatArray:
        """Points over the free parameters, shape [n, free], as rows of all parameters.

        The unit cube is the ranges; a point beyond it is a vector beyond them, as `to_unit` gave it, within the domain.
        """
        names = list(self._parameters)
        rows = np.tile([searched.low for searched in self._parameters.values()], (len(points), 1)).astype(np.float64)
        for column, name in enumerate(self.free):
            searched, inside = self._parameters[name], points[:, column] <= 1.0
            values = searched.low + searched.span * points[:, column]
            # low + (high - low) can round to more than high, which would leave the range, or the domain.
            values = np.minimum(values, np.where(inside, searched.high, self.domain[name].high))
            rows[:, names.index(name)] = values
        return rows

    def to_unit(self, rows: FloatArray) -> FloatArray:
        """Rows of all parameters, shape [n, parameters], as points of the unit cube over the free ones."""
        names = list(self._parameters)
        columns = [
            (rows[:, names.index(name)] - self._parameters[name].low) / self._parameters[name].span
            for name in self.free
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))

    def _check_names(self, given: Mapping[str, object], error: type[SpaceError | VectorError], what: str) -> None:
        missing = [name for name in self.domain if name not in given]
        unknown = [name for name in given if name not in self.domain]
        if missing or unknown:
            faults = [("missing", missing), ("unknown", unknown)]
            raise error(
                f"The space {self.name} needs {what} for exactly {', '.join(self.domain)}.",
                value="; ".join(f"{fault}: {', '.join(map(str, names))}" for fault, names in faults if names),
            )

    def _check_domain(self, name: str, wanted: Range) -> None:
        allowed = self.domain[name]
        if wanted.low not in allowed or wanted.high not in allowed:
            low, high = max(wanted.low, allowed.low), min(wanted.high, allowed.high)
            raise SpaceError(
                f"The parameter {name} of {self.name} can take values from {allowed.low:g} to {allowed.high:g}.",
                value=str(wanted),
                hint=f"Type, for example, --range {name}={low:g}:{high:g}." if low < high else "",
            )

    def _check_meaning(self, name: str, wanted: Range) -> None:
        if self.ordinary and name in self.block_parameters and not wanted.fixed:
            raise SpaceError(
                f"The parameter {name} of {self.name} decides nothing with {self.blocks} blocks.",
                value=str(wanted),
                hint=f"Leave --range {name} out, or --blocks.",
            )


class ArraySpace(SearchSpace):
    """A space that constructs many networks at once, on arrays: one vector is a batch of one."""

    @abstractmethod
    def construct(
        self, columns: Mapping[str, FloatArray], resolution: int | IntArray, num_classes: int, in_channels: int
    ) -> BlueprintBatch:
        """The networks of n vectors.

        Args:
            columns: each parameter's values, shape [n].
            resolution: side of the input image, in pixels: one for all, or one each, shape [n].
            num_classes: classes to tell apart.
            in_channels: channels of the image.
        """

    @override
    def blueprint(
        self, vector: Mapping[str, float], *, resolution: int, num_classes: int, in_channels: int = 3
    ) -> Blueprint:
        rows = self.to_array([vector])
        return self.blueprints(rows, resolution=resolution, num_classes=num_classes, in_channels=in_channels)[0]

    @override
    def blueprints(
        self, vectors: FloatArray, *, resolution: int | IntArray, num_classes: int, in_channels: int = 3
    ) -> BlueprintBatch:
        if isinstance(resolution, np.ndarray):
            for side in (resolution.min(), resolution.max()):
                check_input(side, num_classes, in_channels)
        else:
            resolution, num_classes, in_channels = check_input(resolution, num_classes, in_channels)
        columns = {name: np.ascontiguousarray(vectors[:, place]) for place, name in enumerate(self.parameters)}
        return self.construct(columns, resolution, num_classes, in_channels)


def check_input(resolution: int, num_classes: int, in_channels: int) -> tuple[int, int, int]:
    """Refuse images and classes that no network can take; the three as Python integers.

    Raises:
        SpaceError: one of them is out of bounds.
    """
    bounds: tuple[tuple[str, object, int, int], ...] = (
        ("resolution", resolution, MIN_RESOLUTION, MAX_RESOLUTION),
        ("number of classes", num_classes, 1, 10**6),
        ("number of image channels", in_channels, 1, 1024),
    )
    for name, value, low, high in bounds:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
            raise SpaceError(f"The {name} must be a whole number from {low} to {high}.", value=value)
    return int(resolution), int(num_classes), int(in_channels)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _to_range(name: str, given: tuple[float, float] | Range) -> Range:
    if isinstance(given, Range):
        return given
    try:
        low, high = given
    except (TypeError, ValueError) as error:
        raise SpaceError(
            f"The range of {name} must have a lower and an upper end.",
            value=given,
            hint=f"Type --range {name}=LOW:HIGH.",
        ) from error
    return Range(low, high)
