"""One layer of a blueprint."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from betanas.blocks import KINDS, Activation, BlockKind, kind_named
from betanas.blueprint.numbers import check_numbers
from betanas.errors import BlueprintError

_KINDS = tuple(kind.name for kind in KINDS)
_ACTIVATIONS = tuple(activation.name for activation in Activation)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a blueprint (`betanet.md`, sections 3 and 4).

    Attributes:
        kind: name of a block kind of `betanas.blocks`: `CNA` (3x3 conv, norm, activation), `FMBC` (Fused-MBConv),
            `MBC` (MBConv) or `MBC5` (MBConv with a 5x5 kernel).
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: 2 in a contraction layer, otherwise 1.
        hidden: channels after the expansion; 0 in a CNA, which has none.
        squeeze: channels of the squeeze-excitation bottleneck; 0 where there is none.
        expansion: the expansion ratio the parameter vector gives at this depth (the head's is printed, not used).
        se_ratio: the squeeze-excitation bottleneck ratio at this depth (used where there is squeeze-excitation).
        drop_path: probability that stochastic depth drops the layer's residual branch; 0 without a residual.
        resolution: side of the output feature map, in pixels.
        activation: `SiLU`, `ReLU`, `ReLU6` or `Hardswish`.
        pooled: whether a contraction layer halves its side by a 2x2 max pool behind the convolution, which then runs
            at stride 1, instead of by the convolution's stride.
    """

    kind: str
    in_channels: int
    out_channels: int
    stride: int
    hidden: int
    squeeze: int
    expansion: float
    se_ratio: float
    drop_path: float
    resolution: int
    activation: str = Activation.SiLU.name
    pooled: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise BlueprintError(f"A layer's kind must be one of {', '.join(_KINDS)}.", value=self.kind)
        check_numbers(self, integers=LAYER_INTEGERS, reals=LAYER_REALS, where="A layer")
        if self.stride not in (1, 2):
            raise BlueprintError("A layer's stride must be 1 or 2.", value=self.stride)
        kind = self.block
        least = {"in_channels": 1, "out_channels": 1, "hidden": int(kind.has_hidden), "squeeze": 0, "resolution": 1}
        for name, has in (("hidden", kind.has_hidden), ("squeeze", kind.has_squeeze)):
            if not has and getattr(self, name) != 0:
                raise BlueprintError(f"A {self.kind} layer's {name} must be 0.", value=getattr(self, name))
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise BlueprintError(f"A layer's {name} must be at least {bound}.", value=getattr(self, name))
        if not 0.0 <= self.drop_path < 1.0:
            raise BlueprintError("A layer's drop_path must lie in [0, 1).", value=self.drop_path)
        if self.drop_path and not self.residual:
            raise BlueprintError("A layer without a residual must have a drop_path of 0.", value=self.drop_path)
        if self.activation not in _ACTIVATIONS:
            raise BlueprintError(
                f"A layer's activation must be one of {', '.join(_ACTIVATIONS)}.", value=self.activation
            )
        if self.pooled not in (True, False) or (self.pooled and self.stride == 1):
            raise BlueprintError("A layer may be pooled, true or false, where its stride is 2.", value=self.pooled)

    @property
    def block(self) -> BlockKind:
        """What its kind says."""
        return kind_named(self.kind)

    @property
    def residual(self) -> bool:
        """Whether the layer adds its input to its output: blocks of stride 1 and equal widths do."""
        return self.block.has_residual and self.stride == 1 and self.in_channels == self.out_channels

    @property
    def shape(self) -> tuple[int, ...]:
        """The layer as integers: two layers with the same shape are the same module."""
        usual = (
            self.block.code,
            self.in_channels,
            self.out_channels,
            self.stride,
            self.hidden,
            self.squeeze,
            self.resolution,
        )
        # What came later is left out at its default, so that the keys of earlier networks stay what they were.
        return usual if self._usual else (*usual, int(Activation[self.activation]), int(self.pooled))

    def to_dict(self) -> dict[str, Any]:
        """The layer as plain data; fields that came later are left out at their defaults, as in `shape`."""
        return {name: value for name, value in asdict(self).items() if not (self._usual and name in _LATER)}

    @property
    def _usual(self) -> bool:
        """Whether the fields that came later have their defaults."""
        return all(getattr(self, name) == default for name, default in _LATER.items())

    @classmethod
    def from_dict(cls, data: Any, index: int, hint: str) -> Layer:
        """Read what `to_dict` wrote.

        Raises:
            BlueprintError: it is something else, which the message calls layer `index`.
        """
        if not isinstance(data, dict) or set(data) not in (_NAMES, _NAMES - set(_LATER)):
            raise BlueprintError(f"Layer {index} must have exactly the fields of a layer.", value=data, hint=hint)
        return cls(**data)


LAYER_INTEGERS = ("in_channels", "out_channels", "stride", "hidden", "squeeze", "resolution")
LAYER_REALS = ("expansion", "se_ratio", "drop_path")

_NAMES = {field.name for field in fields(Layer)}
_LATER = {field.name: field.default for field in fields(Layer) if field.default is not MISSING}
