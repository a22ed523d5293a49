"""The blueprint: the architecture that a parameter vector and a resolution describe, as data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betanas.blocks import Activation
from betanas.blueprint.layer import Layer
from betanas.blueprint.numbers import check_numbers, contracted
from betanas.errors import BlueprintError
from betanas.files import read_document

if TYPE_CHECKING:
    from torch import nn

    from betanas.blueprint.batch import BlueprintBatch

FORMAT_VERSION = 1

_INTEGERS = ("resolution", "in_channels", "num_classes", "latent")


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of Tables A1 to A4: a run of layers equal in kind, channels, stride and what they are made of.

    `expansion` and `se_ratio` are means over the run, whether or not its layers use them; `cells` says where they do.
    """

    kind: str
    in_channels: int
    out_channels: int
    expansion: float
    stride: int
    se_ratio: float
    repeats: int
    resolution: int
    activation: str
    pooled: bool
    expands: bool
    squeezes: bool

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as people read it, under `TABLE_HEADINGS`."""
        return (
            self.kind if self.activation == Activation.SiLU.name else f"{self.kind} {self.activation}",
            str(self.in_channels),
            str(self.out_channels),
            f"{self.expansion:.2f}" if self.expands else "-",
            f"{self.stride} pool" if self.pooled else str(self.stride),
            f"{self.se_ratio:.2f}" if self.squeezes else "-",
            str(self.repeats),
            str(self.resolution),
        )


TABLE_HEADINGS = ("Layer", "In", "Out", "Expansion", "Stride", "SE ratio", "Repeats", "Side")


@dataclass(frozen=True)
class Blueprint:
    """A convolutional network described completely, without being one.

    Attributes:
        resolution: side of the input image, in pixels.
        in_channels: channels of the input image.
        num_classes: classes the classifier tells apart.
        layers: from the head to the last feature map; each takes what the one before it gives.
        latent: channels of the 1x1 convolution before the global average pool, with norm and the last layer's
            activation; 0 for none.
    """

    resolution: int
    in_channels: int
    num_classes: int
    layers: tuple[Layer, ...]
    latent: int

    def __post_init__(self) -> None:
        if not self.layers:
            raise BlueprintError("A blueprint must have at least one layer.")
        check_numbers(self, integers=_INTEGERS, where="A blueprint")
        for name in _INTEGERS:
            least = 0 if name == "latent" else 1
            if getattr(self, name) < least:
                raise BlueprintError(f"A blueprint's {name} must be at least {least}.", value=getattr(self, name))
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

    @property
    def num_features(self) -> int:
        """Channels that the global average pool gives to the linear layer."""
        return self.latent or self.layers[-1].out_channels

    @cached_property
    def num_params(self) -> int:
        """Trainable parameters, exactly (`betanet.md`, section 4)."""
        from betanas.cost import count_params

        return int(count_params(self._alone())[0])

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one image's forward pass: convolutions and the linear layer, exactly."""
        from betanas.cost import count_macs

        return int(count_macs(self._alone())[0])

    def training_memory(self, batch_size: int, dtype: str = "float32", optimizer: str = "adam") -> int:
        """Peak bytes of a training step: weights, gradients, optimiser state and activations.

        Args:
            batch_size: images per step.
            dtype: `float32`, or `bfloat16` / `float16` for autocast with fp32 weights.
            optimizer: `adam`, `adamw` or `sgd` (with momentum).
        """
        from betanas.cost import training_memory

        return int(training_memory(self._alone(), batch_size, dtype=dtype, optimizer=optimizer)[0])

    def build(self) -> nn.Module:
        """The network itself, as a `torch.nn.Module` with random weights."""
        from betanas.models import build

        return build(self)

    def _alone(self) -> BlueprintBatch:
        from betanas.blueprint.batch import BlueprintBatch  # which is made of blueprints

        return BlueprintBatch.of([self])

    def table(self) -> tuple[TableRow, ...]:
        """The layers as rows like those of Tables A1 to A4."""
        rows = []
        for _, run in groupby(self.layers, key=_row_of):
            layers = list(run)
            first = layers[0]
            rows.append(
                TableRow(
                    kind=first.kind,
                    in_channels=first.in_channels,
                    out_channels=first.out_channels,
                    expansion=sum(layer.expansion for layer in layers) / len(layers),
                    stride=first.stride,
                    se_ratio=sum(layer.se_ratio for layer in layers) / len(layers),
                    repeats=len(layers),
                    resolution=first.resolution,
                    activation=first.activation,
                    pooled=first.pooled,
                    expands=first.hidden > 0,
                    squeezes=first.squeeze > 0,
                )
            )
        return tuple(rows)

    def to_dict(self) -> dict[str, Any]:
        """The blueprint as plain data, ready for JSON."""
        return {"format": FORMAT_VERSION, **asdict(self), "layers": [layer.to_dict() for layer in self.layers]}

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
        if set(data) != {"format", "layers", *_INTEGERS}:
            raise BlueprintError(
                "A blueprint's JSON must have exactly the fields of a blueprint.", value=sorted(data), hint=hint
            )
        layers = tuple(Layer.from_dict(row, index, hint) for index, row in enumerate(data["layers"]))
        return cls(layers=layers, **{name: data[name] for name in _INTEGERS})

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
            text = read_document(Path(path))
        except (OSError, UnicodeDecodeError) as error:
            raise BlueprintError("A blueprint file must be readable text.", value=str(path), hint=str(error)) from error
        return cls.from_json(text)


def _row_of(layer: Layer) -> tuple[object, ...]:
    """What the layers of a table's row have in common."""
    made_of = layer.kind, layer.activation, layer.pooled, layer.squeeze > 0
    return (*made_of, layer.in_channels, layer.out_channels, layer.stride)
