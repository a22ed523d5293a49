"""The blueprint: the architecture that a parameter vector and a resolution describe, as data.

A `Blueprint` is what a person reads, stores and builds; a `BlueprintBatch` holds many of them as padded arrays, so
that thousands of candidates are constructed and priced in one go. Both describe the same networks: a blueprint is one
row of a batch, and everything `betanas.cost` counts, it counts on batches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from betanas.errors import BlueprintError

if TYPE_CHECKING:
    from torch import nn

LayerKind = Literal["CNA", "FMBC", "MBC"]
KINDS: tuple[LayerKind, ...] = get_args(LayerKind)

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FORMAT_VERSION = 1


_LAYER_INTEGERS = ("in_channels", "out_channels", "stride", "hidden", "squeeze", "resolution")
_LAYER_REALS = ("expansion", "se_ratio", "drop_path")
_BLUEPRINT_INTEGERS = ("resolution", "in_channels", "num_classes", "latent")

# Beyond every network that the spaces can describe, and small enough for a layer's parameters to fit 64 bits.
_LARGEST = 10**8


def _check_numbers(owner: object, *, integers: Sequence[str], reals: Sequence[str], where: str) -> None:
    for name in integers:
        value = getattr(owner, name)
        if type(value) is not int or abs(value) > _LARGEST:
            raise BlueprintError(f"{where}'s {name} must be a Python int of at most {_LARGEST:,}.", value=value)
    for name in reals:
        value = getattr(owner, name)
        if type(value) not in (int, float) or not abs(value) <= _LARGEST:
            raise BlueprintError(f"{where}'s {name} must be a Python float of at most {_LARGEST:,}.", value=value)


def contracted(side: int) -> int:
    """The output side of a 3x3, stride 2, padding 1 convolution over an input of `side` pixels."""
    return -(-side // 2)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a blueprint (`betanet.md`, sections 3 and 4).

    Attributes:
        kind: `CNA` (3x3 conv, norm, SiLU), `FMBC` (Fused-MBConv) or `MBC` (MBConv with squeeze-excitation).
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: 2 in a contraction layer, otherwise 1.
        hidden: channels after the expansion; 0 in a CNA, which has none.
        squeeze: channels of the squeeze-excitation bottleneck; 0 where there is none.
        expansion: the expansion ratio the parameter vector gives at this depth (the head's is printed, not used).
        se_ratio: the squeeze-excitation bottleneck ratio at this depth (used by MBC alone).
        drop_path: probability that stochastic depth drops the layer's residual branch; 0 without a residual.
        resolution: side of the output feature map, in pixels.
    """

    kind: LayerKind
    in_channels: int
    out_channels: int
    stride: int
    hidden: int
    squeeze: int
    expansion: float
    se_ratio: float
    drop_path: float
    resolution: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BlueprintError(f"A layer's kind must be one of {', '.join(KINDS)}.", value=self.kind)
        _check_numbers(self, integers=_LAYER_INTEGERS, reals=_LAYER_REALS, where="A layer")
        if self.stride not in (1, 2):
            raise BlueprintError("A layer's stride must be 1 or 2.", value=self.stride)
        absent = {"CNA": ("hidden", "squeeze"), "FMBC": ("squeeze",), "MBC": ()}[self.kind]
        for name in absent:
            if getattr(self, name) != 0:
                raise BlueprintError(f"A {self.kind} layer's {name} must be 0.", value=getattr(self, name))
        for name in ("in_channels", "out_channels", "hidden", "squeeze", "resolution"):
            if name not in absent and getattr(self, name) < 1:
                raise BlueprintError(f"A layer's {name} must be at least 1.", value=getattr(self, name))
        if not 0.0 <= self.drop_path < 1.0:
            raise BlueprintError("A layer's drop_path must lie in [0, 1).", value=self.drop_path)
        if self.drop_path and not self.residual:
            raise BlueprintError("A layer without a residual must have a drop_path of 0.", value=self.drop_path)

    @property
    def residual(self) -> bool:
        """Whether the layer adds its input to its output: blocks of stride 1 and equal widths do."""
        return self.kind != "CNA" and self.stride == 1 and self.in_channels == self.out_channels

    @property
    def shape(self) -> tuple[int, ...]:
        """The layer as integers: two layers with the same shape are the same module."""
        return (
            KINDS.index(self.kind),
            self.in_channels,
            self.out_channels,
            self.stride,
            self.hidden,
            self.squeeze,
            self.resolution,
        )


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of Tables A1 to A4: a run of layers with equal kind, channels and stride; ratios are means over the run."""

    kind: LayerKind
    in_channels: int
    out_channels: int
    expansion: float
    stride: int
    se_ratio: float
    repeats: int
    resolution: int


@dataclass(frozen=True)
class Blueprint:
    """A convolutional network described completely, without being one.

    Attributes:
        resolution: side of the input image, in pixels.
        in_channels: channels of the input image.
        num_classes: classes the classifier tells apart.
        layers: from the head to the last feature map; each takes what the one before it gives.
        latent: channels of the 1x1 convolution before the global average pool.
    """

    resolution: int
    in_channels: int
    num_classes: int
    layers: tuple[Layer, ...]
    latent: int

    def __post_init__(self) -> None:
        if not self.layers:
            raise BlueprintError("A blueprint must have at least one layer.")
        _check_numbers(self, integers=_BLUEPRINT_INTEGERS, reals=(), where="A blueprint")
        for name in _BLUEPRINT_INTEGERS:
            if getattr(self, name) < 1:
                raise BlueprintError(f"A blueprint's {name} must be at least 1.", value=getattr(self, name))
        if self.layers[0].in_channels != self.in_channels:
            raise BlueprintError(
                f"The first layer must take the image's {self.in_channels} channels.", value=self.layers[0].in_channels
            )
        for index, (before, after) in enumerate(pairwise(self.layers), start=1):
            if after.in_channels != before.out_channels:
                raise BlueprintError(
                    f"Layer {index} must take the {before.out_channels} channels that layer {index - 1} gives.",
                    value=after.in_channels,
                )
        side = self.resolution
        for index, layer in enumerate(self.layers):
            side = contracted(side) if layer.stride == 2 else side
            if layer.resolution != side:
                raise BlueprintError(f"Layer {index}'s output side must be {side}.", value=layer.resolution)

    @cached_property
    def key(self) -> str:
        """A digest of the integer network: equal exactly where two blueprints build the same modules."""
        numbers = (
            self.resolution,
            self.in_channels,
            self.num_classes,
            self.latent,
            *(layer.shape for layer in self.layers),
        )
        return hashlib.sha256(repr(numbers).encode()).hexdigest()[:16]

    @cached_property
    def num_params(self) -> int:
        """Trainable parameters, exactly (`betanet.md`, section 4)."""
        from betanas.cost import count_params

        return int(count_params(BlueprintBatch.of([self]))[0])

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one image's forward pass: convolutions and the linear layer, exactly."""
        from betanas.cost import count_macs

        return int(count_macs(BlueprintBatch.of([self]))[0])

    def training_memory(self, batch_size: int, dtype: str = "float32", optimizer: str = "adam") -> int:
        """Peak bytes of a training step: weights, gradients, optimiser state and activations.

        Args:
            batch_size: images per step.
            dtype: `float32`, or `bfloat16` / `float16` for autocast with fp32 weights.
            optimizer: `adam`, `adamw` or `sgd` (with momentum).
        """
        from betanas.cost import training_memory

        return int(training_memory(BlueprintBatch.of([self]), batch_size, dtype=dtype, optimizer=optimizer)[0])

    def build(self) -> nn.Module:
        """The network itself, as a `torch.nn.Module` with random weights."""
        from betanas.models import build

        return build(self)

    def table(self) -> tuple[TableRow, ...]:
        """The layers as rows like those of Tables A1 to A4."""
        rows = []
        shape_of = lambda layer: (layer.kind, layer.in_channels, layer.out_channels, layer.stride)  # noqa: E731
        for (kind, in_channels, out_channels, stride), run in groupby(self.layers, key=shape_of):
            layers = list(run)
            rows.append(
                TableRow(
                    kind=kind,
                    in_channels=in_channels,
                    out_channels=out_channels,
                    expansion=sum(layer.expansion for layer in layers) / len(layers),
                    stride=stride,
                    se_ratio=sum(layer.se_ratio for layer in layers) / len(layers),
                    repeats=len(layers),
                    resolution=layers[-1].resolution,
                )
            )
        return tuple(rows)

    def to_dict(self) -> dict[str, Any]:
        """The blueprint as plain data, ready for JSON."""
        return {"format": FORMAT_VERSION, **asdict(self), "layers": [asdict(layer) for layer in self.layers]}

    def to_json(self, *, indent: int | None = None) -> str:
        """The blueprint as JSON text; `from_json` gives an equal blueprint back."""
        return json.dumps(self.to_dict(), indent=indent)

    @classmethod
    def from_dict(cls, data: Any) -> Blueprint:
        """Read what `to_dict` wrote, checking every value.

        Raises:
            BlueprintError: the data is not a blueprint, or one of a newer format.
        """
        hint = 'Give the JSON that `betanas describe --json` prints under "blueprint", or Blueprint.to_json().'
        if not isinstance(data, dict) or not isinstance(data.get("layers"), list):
            raise BlueprintError("A blueprint's JSON must be an object with a list of layers.", hint=hint)
        if data.get("format") != FORMAT_VERSION:
            raise BlueprintError(
                f"This version reads blueprints of format {FORMAT_VERSION}.", value=data.get("format"), hint=hint
            )
        if set(data) != {"format", "layers", *_BLUEPRINT_INTEGERS}:
            raise BlueprintError(
                "A blueprint's JSON must have exactly the fields of a blueprint.", value=sorted(data), hint=hint
            )
        layers = []
        for index, row in enumerate(data["layers"]):
            if not isinstance(row, dict) or set(row) != {field.name for field in fields(Layer)}:
                raise BlueprintError(f"Layer {index} must have exactly the fields of a layer.", value=row, hint=hint)
            layers.append(Layer(**row))
        return cls(layers=tuple(layers), **{name: data[name] for name in _BLUEPRINT_INTEGERS})

    @classmethod
    def from_json(cls, text: str) -> Blueprint:
        """Read what `to_json` wrote.

        Raises:
            BlueprintError: the text is not JSON, or not a blueprint.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BlueprintError("A blueprint must be JSON text.", value=text[:60], hint=str(error)) from error
        return cls.from_dict(data)

    @classmethod
    def load(cls, path: str | Path) -> Blueprint:
        """Read a blueprint from a file.

        Raises:
            BlueprintError: the file is missing or not a blueprint.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BlueprintError("A blueprint file must be readable text.", value=str(path), hint=str(error)) from error
        return cls.from_json(text)


@dataclass(frozen=True, eq=False)
class BlueprintBatch:
    """Many blueprints, as arrays.

    Every array but the last two has the shape [n, m]: n blueprints, padded to the m layers of the deepest one.
    Where `present` is false the entry is padding and holds zeros.

    Attributes:
        resolution: side of the input image, in pixels: one for all, or one each, shape [n].
        in_channels: channels of the input image.
        num_classes: classes the classifiers tell apart.
        present: bool, whether a blueprint has this layer.
        kind: index into `KINDS`.
        channels_in: a layer's input channels.
        channels_out: a layer's output channels.
        stride: 1 or 2.
        hidden: channels after the expansion, 0 in a CNA.
        squeeze: squeeze-excitation channels, 0 outside MBC.
        side: side of a layer's output, in pixels.
        expansion: expansion ratios.
        se_ratio: squeeze-excitation bottleneck ratios.
        drop_path: stochastic depth's drop probabilities.
        depth: shape [n], layers of each blueprint.
        latent: shape [n], channels before the global average pool.
    """

    resolution: int | IntArray
    in_channels: int
    num_classes: int
    present: BoolArray
    kind: IntArray
    channels_in: IntArray
    channels_out: IntArray
    stride: IntArray
    hidden: IntArray
    squeeze: IntArray
    side: IntArray
    expansion: FloatArray
    se_ratio: FloatArray
    drop_path: FloatArray
    depth: IntArray
    latent: IntArray

    def __len__(self) -> int:
        return len(self.depth)

    def __iter__(self) -> Iterator[Blueprint]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> Blueprint:
        layers = tuple(
            Layer(
                kind=KINDS[self.kind[row, i]],
                in_channels=int(self.channels_in[row, i]),
                out_channels=int(self.channels_out[row, i]),
                stride=int(self.stride[row, i]),
                hidden=int(self.hidden[row, i]),
                squeeze=int(self.squeeze[row, i]),
                expansion=float(self.expansion[row, i]),
                se_ratio=float(self.se_ratio[row, i]),
                drop_path=float(self.drop_path[row, i]),
                resolution=int(self.side[row, i]),
            )
            for i in range(int(self.depth[row]))
        )
        resolution = int(np.broadcast_to(self.resolution, len(self))[row])
        return Blueprint(resolution, self.in_channels, self.num_classes, layers, int(self.latent[row]))

    @cached_property
    def residual(self) -> BoolArray:
        """Shape [n, m]: whether a layer adds its input to its output."""
        same = (self.stride == 1) & (self.channels_in == self.channels_out)
        residual: BoolArray = self.present & (self.kind != KINDS.index("CNA")) & same
        return residual

    @cached_property
    def side_in(self) -> IntArray:
        """Shape [n, m]: side of a layer's input, in pixels."""
        first = np.broadcast_to(np.reshape(self.resolution, (-1, 1)), (len(self), 1))
        return np.where(self.present, np.concatenate([first, self.side[:, :-1]], axis=1), 0)

    @cached_property
    def last_side(self) -> IntArray:
        """Shape [n]: side of the feature map that the classifier pools."""
        return np.take_along_axis(self.side, self.depth[:, None] - 1, axis=1)[:, 0]

    @cached_property
    def last_channels(self) -> IntArray:
        """Shape [n]: channels of the last layer."""
        return np.take_along_axis(self.channels_out, self.depth[:, None] - 1, axis=1)[:, 0]

    @classmethod
    def of(cls, blueprints: Sequence[Blueprint]) -> BlueprintBatch:
        """Stack blueprints that share an input and a number of classes.

        Raises:
            BlueprintError: there is none, or they differ in resolution, channels or classes.
        """
        inputs = {(bp.resolution, bp.in_channels, bp.num_classes) for bp in blueprints}
        if len(inputs) != 1:
            raise BlueprintError(
                "Blueprints in a batch must share resolution, input channels and number of classes.",
                value=sorted(inputs),
            )
        resolution, in_channels, num_classes = next(iter(inputs))
        shape = (len(blueprints), max(len(bp.layers) for bp in blueprints))
        arrays: dict[str, Any] = {name: np.zeros(shape, dtype=np.int64) for name in ("kind", *_BATCH_INTEGERS)}
        arrays |= {name: np.zeros(shape, dtype=np.float64) for name in _LAYER_REALS}
        depth = np.array([len(bp.layers) for bp in blueprints], dtype=np.int64)
        for row, bp in enumerate(blueprints):
            for i, layer in enumerate(bp.layers):
                arrays["kind"][row, i] = KINDS.index(layer.kind)
                for name, field in _BATCH_FIELDS.items():
                    arrays[name][row, i] = getattr(layer, field)
        return cls(
            resolution=resolution,
            in_channels=in_channels,
            num_classes=num_classes,
            present=np.arange(shape[1]) < depth[:, None],
            **arrays,
            depth=depth,
            latent=np.array([bp.latent for bp in blueprints], dtype=np.int64),
        )


# A batch's arrays beside the layer's fields they hold.
_BATCH_INTEGERS = {
    "channels_in": "in_channels",
    "channels_out": "out_channels",
    "stride": "stride",
    "hidden": "hidden",
    "squeeze": "squeeze",
    "side": "resolution",
}
_BATCH_FIELDS = _BATCH_INTEGERS | {name: name for name in _LAYER_REALS}
