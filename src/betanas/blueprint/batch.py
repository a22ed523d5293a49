"""Many blueprints at once, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from betanas.blocks import KINDS, Activation, BlockKind
from betanas.blueprint.layer import LAYER_INTEGERS, LAYER_REALS, Layer
from betanas.blueprint.network import Blueprint
from betanas.blueprint.numbers import BoolArray, FloatArray, IntArray
from betanas.errors import BlueprintError

_CODES = {kind.code: kind for kind in KINDS}
_HAS_RESIDUAL = np.zeros(max(_CODES) + 1, dtype=np.bool_)
_HAS_RESIDUAL[[kind.code for kind in KINDS if kind.has_residual]] = True

# A number for everything that layers of one group share: kind, activation, pooling, squeeze-excitation.
_FORMS = (max(_CODES) + 1) * len(Activation) * 2 * 2


@dataclass(frozen=True, eq=False)
class LayerArrays:
    """The fields of `Layer` for the layers of many blueprints, arrays of shape [n, m].

    n blueprints are padded to the m layers of the deepest one; padding holds zeros. `kind` and `activation` are
    codes: `BlockKind.code` and the numbers of `Activation`.
    """

    kind: IntArray
    in_channels: IntArray
    out_channels: IntArray
    stride: IntArray
    hidden: IntArray
    squeeze: IntArray
    expansion: FloatArray
    se_ratio: FloatArray
    drop_path: FloatArray
    resolution: IntArray
    activation: IntArray
    pooled: BoolArray

    @property
    def integers(self) -> IntArray:
        """What decides which modules are built, shape [n, m, numbers]: the array twin of `Layer.shape`."""
        names = ("kind", *LAYER_INTEGERS, "activation", "pooled")
        return np.stack([getattr(self, name) for name in names], axis=-1)


@dataclass(frozen=True, eq=False)
class LayerGroup:
    """The layers of a batch that are of one form, one after another: every array has the shape [layers].

    Attributes:
        block: the layers' kind.
        activation: the layers' activation.
        pooled: whether they halve the side by a max pool.
        squeezed: whether they have squeeze-excitation.
        places: where they stand in a batch's flattened arrays [n * m].
        in_channels, out_channels, hidden, squeeze: as in `Layer`.
    """

    block: BlockKind
    activation: Activation
    pooled: bool
    squeezed: bool
    places: npt.NDArray[np.intp]
    in_channels: npt.NDArray[Any]
    out_channels: npt.NDArray[Any]
    hidden: npt.NDArray[Any]
    squeeze: npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class BlueprintBatch:
    """Many blueprints, as arrays: the fields of `Blueprint`, and the depth of each.

    Attributes:
        resolution: side of the input image, in pixels: one for all, or one each, shape [n].
        in_channels: channels of the input image.
        num_classes: classes the classifiers tell apart.
        layers: arrays of shape [n, m].
        depth: shape [n], layers of each blueprint.
        latent: shape [n], channels of the 1x1 convolution before the global average pool; 0 for none.
    """

    resolution: int | IntArray
    in_channels: int
    num_classes: int
    layers: LayerArrays
    depth: IntArray
    latent: IntArray

    def __len__(self) -> int:
        return len(self.depth)

    def __iter__(self) -> Iterator[Blueprint]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> Blueprint:
        depth = int(self.depth[row])
        columns = {field.name: getattr(self.layers, field.name)[row, :depth].tolist() for field in fields(LayerArrays)}
        columns["kind"] = [_CODES[code].name for code in columns["kind"]]
        columns["activation"] = [Activation(code).name for code in columns["activation"]]
        layers = tuple(
            Layer(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
        )
        resolution = int(np.broadcast_to(self.resolution, len(self))[row])
        return Blueprint(resolution, self.in_channels, self.num_classes, layers, int(self.latent[row]))

    @cached_property
    def present(self) -> BoolArray:
        """Shape [n, m]: whether a blueprint has this layer; where it has not, the arrays are padding."""
        present: BoolArray = np.arange(self.layers.kind.shape[1]) < self.depth[:, None]
        return present

    @cached_property
    def residual(self) -> BoolArray:
        """Shape [n, m]: whether a layer adds its input to its output."""
        layers = self.layers
        same = (layers.stride == 1) & (layers.in_channels == layers.out_channels)
        residual: BoolArray = self.present & _HAS_RESIDUAL[layers.kind] & same
        return residual

    @cached_property
    def entering(self) -> IntArray:
        """Shape [n, m]: side of a layer's input, in pixels."""
        first = np.broadcast_to(np.reshape(self.resolution, (-1, 1)), (len(self), 1))
        return np.where(self.present, np.concatenate([first, self.layers.resolution[:, :-1]], axis=1), 0)

    @cached_property
    def last_resolution(self) -> IntArray:
        """Shape [n]: side of the feature map that the classifier pools."""
        last: IntArray = self.last(self.layers.resolution)
        return last

    @cached_property
    def last_channels(self) -> IntArray:
        """Shape [n]: channels of the last layer."""
        last: IntArray = self.last(self.layers.out_channels)
        return last

    @cached_property
    def num_features(self) -> IntArray:
        """Shape [n]: channels that the global average pool gives to the linear layer."""
        return np.where(self.latent > 0, self.latent, self.last_channels)

    def last(self, values: npt.NDArray[Any]) -> Any:
        """Of values of shape [n, m], each blueprint's last layer's. Shape [n]."""
        return np.take_along_axis(values, self.depth[:, None] - 1, axis=1)[:, 0]

    @cached_property
    def groups(self) -> tuple[LayerGroup, ...]:
        """The layers that are there, by what they are made of: costs are counted group by group."""
        layers = self.layers
        form = layers.kind * len(Activation) + layers.activation
        form = np.where(self.present, (2 * form + layers.pooled) * 2 + (layers.squeeze > 0), _FORMS)
        found = []
        for number in np.nonzero(np.bincount(form.ravel(), minlength=_FORMS)[:_FORMS])[0]:
            rest, squeezed = divmod(int(number), 2)
            rest, pooled = divmod(rest, 2)
            code, activation = divmod(rest, len(Activation))
            places = np.flatnonzero(form == number)
            widths = [
                np.take(values, places)
                for values in (layers.in_channels, layers.out_channels, layers.hidden, layers.squeeze)
            ]
            found.append(
                LayerGroup(_CODES[code], Activation(activation), bool(pooled), bool(squeezed), places, *widths)
            )
        return tuple(found)

    @classmethod
    def of(cls, blueprints: Sequence[Blueprint]) -> BlueprintBatch:
        """Stack blueprints that share image channels and a number of classes.

        Raises:
            BlueprintError: there is none, or they differ in channels or classes.
        """
        inputs = {(blueprint.in_channels, blueprint.num_classes) for blueprint in blueprints}
        if len(inputs) != 1:
            raise BlueprintError(
                "Blueprints in a batch must share input channels and number of classes.", value=sorted(inputs)
            )
        in_channels, num_classes = next(iter(inputs))
        depth = np.array([len(blueprint.layers) for blueprint in blueprints], dtype=np.int64)
        shape = (len(blueprints), int(depth.max()))
        arrays: dict[str, Any] = {name: np.zeros(shape, dtype=np.int64) for name in _INTEGERS}
        arrays |= {name: np.zeros(shape) for name in LAYER_REALS} | {"pooled": np.zeros(shape, dtype=np.bool_)}
        for row, blueprint in enumerate(blueprints):
            for name, array in arrays.items():
                array[row, : depth[row]] = [_number(layer, name) for layer in blueprint.layers]
        return cls(
            resolution=_one_or_each([blueprint.resolution for blueprint in blueprints]),
            in_channels=in_channels,
            num_classes=num_classes,
            layers=LayerArrays(**arrays),
            depth=depth,
            latent=np.array([blueprint.latent for blueprint in blueprints], dtype=np.int64),
        )

    @classmethod
    def joined(cls, batches: Sequence[BlueprintBatch]) -> BlueprintBatch:
        """Batches for the same images and classes, at any resolutions, as one: one row after another."""
        first, width = batches[0], max(batch.layers.kind.shape[1] for batch in batches)

        def padded(name: str) -> Any:
            arrays = [getattr(batch.layers, name) for batch in batches]
            rows = np.zeros((sum(map(len, arrays)), width), dtype=arrays[0].dtype)
            start = 0
            for array in arrays:
                rows[start : start + len(array), : array.shape[1]] = array
                start += len(array)
            return rows

        resolutions = [np.broadcast_to(batch.resolution, len(batch)) for batch in batches]
        return cls(
            resolution=np.concatenate(resolutions),
            in_channels=first.in_channels,
            num_classes=first.num_classes,
            layers=LayerArrays(**{field.name: padded(field.name) for field in fields(LayerArrays)}),
            depth=np.concatenate([batch.depth for batch in batches]),
            latent=np.concatenate([batch.latent for batch in batches]),
        )


_INTEGERS = ("kind", *LAYER_INTEGERS, "activation")


def _number(layer: Layer, name: str) -> Any:
    """A layer's field as it stands in an array."""
    if name == "kind":
        return layer.block.code
    return int(Activation[layer.activation]) if name == "activation" else getattr(layer, name)


def _one_or_each(resolutions: Sequence[int]) -> int | IntArray:
    return resolutions[0] if len(set(resolutions)) == 1 else np.array(resolutions, dtype=np.int64)
