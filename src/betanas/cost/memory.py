"""Peak memory of a training step, worked out operation by operation from the blueprint alone.

What a step holds at once: weights and buffers, the optimiser's state, the batch, the feature maps that autograd saves
for the backward pass, the gradients of the feature maps that are being worked on, and the parameters' gradients made
so far. The backward pass frees the saved maps from the last layer to the first while the parameters' gradients grow,
so that the worst moment lies somewhere in it. (No moment of the forward pass is worse: where it holds an operation's
output, the backward pass holds a gradient of the same size, and its input's beside it. Nor is the optimiser's step,
which finds the parameters' gradients alone.)

So every layer is walked through backwards as a list of operations, each of which saves its input. The figures are
those of torch's eager mode, as its MemTracker sees them, for a loop that drops the parameters' gradients before the
forward pass; `benchmarks/memory_model.py` measures by how much they differ. Not counted is what is not the step's
own: workspaces of convolutions, the allocator's rounding, the accelerator's context, the data set, an average of the
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from betanas.blocks import ConvNorm, SqueezeExcitation
from betanas.blueprint import BlueprintBatch, BoolArray, FloatArray, IntArray, LayerGroup
from betanas.cost.saturation import saturated
from betanas.errors import QuantityError

_FLOAT32 = 4  # bytes
_INT64 = 8  # bytes

# Bytes of an activation. The two smaller ones mean autocast: weights, their gradients and the optimiser's state stay
# in float32, and each convolution keeps a copy of its weights, cast to the smaller type, until its backward pass.
_ACTIVATION_BYTES = {"float32": _FLOAT32, "bfloat16": 2, "float16": 2}

# Float32 values that an optimiser keeps for each parameter. Its step needs no more than the end of the backward pass:
# fused, as betanas.training runs it, it works in place.
_OPTIMIZER_VALUES = {"adam": 2, "adamw": 2, "sgd": 1}


def training_memory(
    batch: BlueprintBatch, batch_size: int, *, dtype: str = "float32", optimizer: str = "adam"
) -> IntArray:
    """Peak bytes of a training step of every blueprint, shape [n].

    Args:
        batch: the blueprints.
        batch_size: images per step.
        dtype: `float32`, or `bfloat16` / `float16` for autocast with float32 weights.
        optimizer: `adam`, `adamw` or `sgd` (with momentum).

    Raises:
        QuantityError: the batch is empty, or the data type or the optimiser is unknown.
    """
    if batch_size < 1:
        raise QuantityError("A batch must have at least 1 image.", value=batch_size)
    step = _Step(images=batch_size, element=_choose(_ACTIVATION_BYTES, dtype, "data type"))
    values = _choose(_OPTIMIZER_VALUES, optimizer, "optimiser")

    held = _held_results(batch)
    layers = _walk_layers(batch, step, held)
    classifier = _walk_backwards(_classifier(batch, step, held))
    weights = layers.weights.sum(axis=1) + classifier.weights
    saved_before = np.cumsum(layers.saved, axis=1) - layers.saved
    gradients_so_far = weights[:, None] - np.cumsum(layers.weights, axis=1)
    in_layers = (saved_before + layers.peak + gradients_so_far).max(axis=1)
    in_classifier = layers.saved.sum(axis=1) + classifier.peak
    buffers = layers.buffers.sum(axis=1) + classifier.buffers
    always = weights * (1 + values) + buffers + _batch_bytes(batch, step)
    return saturated(always + np.maximum(in_layers, in_classifier))


@dataclass(frozen=True, slots=True)
class _Step:
    """What decides the size of a feature map: images in the batch, bytes of an element."""

    images: int
    element: int

    @property
    def autocast(self) -> bool:
        return self.element < _FLOAT32

    def map(self, channels: FloatArray, pixels: FloatArray | int = 1) -> FloatArray:
        """Bytes of a feature map."""
        return channels * pixels * float(self.images * self.element)


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation of the forward pass, in bytes.

    Attributes:
        saved: what autograd keeps for its backward pass and frees after it.
        live: the gradients of feature maps that exist during its backward pass: its output's and its input's.
        weights: its parameters, and so its parameters' gradients.
        buffers: running statistics.
    """

    saved: FloatArray
    live: FloatArray
    weights: FloatArray | float = 0.0
    buffers: FloatArray | float = 0.0


@dataclass(frozen=True, slots=True)
class _Walk:
    """A list of operations as a whole, in bytes.

    Attributes:
        saved: what they keep between the forward and the backward pass.
        peak: the most that they hold at any moment of their backward pass: what is still saved, live and made.
        weights: their parameters, and so their parameters' gradients.
        buffers: running statistics.
    """

    saved: FloatArray
    peak: FloatArray
    weights: FloatArray
    buffers: FloatArray


def _convolution(
    step: _Step, weights: FloatArray, saved: FloatArray, taken: FloatArray, given: FloatArray
) -> _Operation:
    """A convolution or a linear layer.

    Args:
        step: the training step.
        weights: how many.
        saved: bytes of its input that it keeps.
        taken: bytes of its input's gradient.
        given: bytes of its output's.
    """
    copy = weights * step.element if step.autocast else 0.0
    return _Operation(saved=saved + copy, live=given + taken, weights=weights * _FLOAT32)


def _norm(channels: FloatArray, size: FloatArray) -> _Operation:
    """Batch norm: its input, mean and deviation are saved; scale and shift are learnt, mean and variance tracked."""
    pair = 2 * _FLOAT32 * channels
    return _Operation(saved=size + pair, live=2 * size, weights=pair, buffers=pair)


def _activation(size: FloatArray) -> _Operation:
    """Its input is saved, or its output, which is as large."""
    return _Operation(saved=size, live=2 * size)


def _max_pool(saved: FloatArray, size: FloatArray, pooled: FloatArray, positions: FloatArray) -> _Operation:
    """The position of every maximum is saved beside the input."""
    return _Operation(saved=saved + _INT64 * positions, live=size + pooled)


def _squeeze(step: _Step, channels: FloatArray, squeeze: FloatArray, size: FloatArray, *, maps: int) -> _Operation:
    """Squeeze-excitation's way from a map to one factor a channel.

    The pooled and the squeezed channels are saved as the inputs of two convolutions and two activations (`maps` of
    the squeezed ones). The gradient of the pooling is a map, which is added to the one that the scaling left: three
    maps with their sum.
    """
    weights = 2 * channels * squeeze + channels + squeeze
    copy = weights * step.element if step.autocast else 0.0
    pooled = 2 * step.map(channels) + maps * step.map(squeeze)
    return _Operation(saved=pooled + copy, live=3 * size, weights=weights * _FLOAT32)


def _scale(saved: FloatArray, size: FloatArray) -> _Operation:
    """Squeeze-excitation's product of map and factors: two products of the map's size undo it."""
    return _Operation(saved=saved, live=3 * size)


@dataclass(frozen=True, slots=True)
class _Entrance:
    """What enters layers of one form: arrays of shape [layers].

    Attributes:
        before: pixels of the input map.
        after: pixels of the output map.
        first: whether it is a network's first layer: images have no gradient.
        held: whether the input map is held anyway, as the batch of images or as the result of an activation.
    """

    before: FloatArray
    after: FloatArray
    first: BoolArray
    held: BoolArray


def _operations(group: LayerGroup, entrance: _Entrance, step: _Step) -> tuple[list[_Operation], FloatArray]:
    """The operations of layers of one form, in order, and the bytes of their output maps."""
    widths = replace(
        group,
        **{
            name: getattr(group, name).astype(np.float64)
            for name in ("in_channels", "out_channels", "hidden", "squeeze")
        },
    )
    pixels, keeps = entrance.before, group.activation.keeps_result
    size = step.map(widths.in_channels, pixels)
    saved, gradient = np.where(entrance.held, 0.0, size), np.where(entrance.first, 0.0, size)
    operations = []
    for part in group.block.steps(widths, group.squeezed):
        if isinstance(part, SqueezeExcitation):
            operations += [
                _squeeze(step, part.channels, part.squeeze, size, maps=1 if keeps else 2),
                _scale(saved, size),
            ]
            saved = gradient = size
            continue
        contracts = part.contracts and not group.pooled
        pixels = entrance.after if contracts else pixels
        given = step.map(part.gives, pixels)
        operations += [_convolution(step, part.weights, saved, gradient, given), _norm(part.gives, given)]
        saved = gradient = size = given
        if part.activated:
            operations.append(_activation(size))
            saved = np.zeros(()) if keeps else size
        if part.contracts and group.pooled:
            pixels = entrance.after
            pooled = step.map(part.gives, pixels)
            operations.append(_max_pool(saved, size, pooled, part.gives * pixels * float(step.images)))
            saved = gradient = size = pooled
    return operations, size


def _held_results(batch: BlueprintBatch) -> BoolArray:
    """Whether a layer ends with an activation whose result is held by itself. Shape [n, m]."""
    held = np.zeros(batch.present.size, dtype=np.bool_)
    for group in batch.groups:
        last = group.block.steps(group, group.squeezed)[-1]
        if group.activation.keeps_result and isinstance(last, ConvNorm) and last.activated:
            held[group.places] = not (group.pooled and last.contracts)
    return held.reshape(batch.present.shape)


def _classifier(batch: BlueprintBatch, step: _Step, held: BoolArray) -> list[_Operation]:
    """From the last feature map to the loss; arrays of shape [n]."""
    last, latent = batch.last_channels.astype(np.float64), batch.latent.astype(np.float64)
    pixels = batch.last_resolution.astype(np.float64) ** 2
    classes = np.full(len(batch), float(batch.num_classes))
    features = batch.num_features.astype(np.float64)
    taken = np.where(latent > 0, step.map(last, pixels), 0.0)
    size, pooled, logits = step.map(latent, pixels), step.map(features), step.map(classes)
    log_probabilities = classes * float(step.images * _FLOAT32)
    return [
        _convolution(step, last * latent, np.where(batch.last(held), 0.0, taken), taken, size),
        _norm(latent, size),
        _activation(size),
        _convolution(step, features * classes + classes, pooled, pooled, logits),
        _Operation(saved=log_probabilities, live=2 * log_probabilities),
    ]


def _walk_layers(batch: BlueprintBatch, step: _Step, held: BoolArray) -> _Walk:
    """Every layer by itself; arrays of shape [n, m], zero where there is no layer."""
    shape = batch.present.shape
    total = _Walk(*(np.zeros(batch.present.size) for _ in range(4)))
    before, after = (sides.ravel().astype(np.float64) ** 2 for sides in (batch.entering, batch.layers.resolution))
    images = np.full((len(batch), 1), not step.autocast)
    entering_held = np.concatenate([images, held[:, :-1]], axis=1).ravel()
    residual = batch.residual.ravel()
    for group in batch.groups:
        at = group.places
        entrance = _Entrance(before[at], after[at], at % shape[1] == 0, entering_held[at])
        operations, size = _operations(group, entrance, step)
        walk = _walk_backwards(operations)
        total.saved[at], total.weights[at], total.buffers[at] = walk.saved, walk.weights, walk.buffers
        # A residual's gradient reaches the branch through stochastic depth, as a map of its own, and waits itself for
        # the branch's to be added at the end.
        total.peak[at] = walk.peak + np.where(residual[at], size, 0.0)
    return _Walk(*(getattr(total, field.name).reshape(shape) for field in fields(_Walk)))


def _walk_backwards(operations: Sequence[_Operation]) -> _Walk:
    saved = sum((operation.saved for operation in operations), start=np.zeros(()))
    held, made, buffers = saved, np.zeros(()), np.zeros(())
    peak = np.zeros(())
    for operation in reversed(operations):
        made = made + operation.weights
        buffers = buffers + operation.buffers
        peak = np.maximum(peak, held + operation.live + made)
        held = held - operation.saved
    return _Walk(saved, peak, made, buffers)


def _batch_bytes(batch: BlueprintBatch, step: _Step) -> FloatArray:
    """Images in float32, labels, and the logits that the loop holds on to; one for all or shape [n]."""
    pixels = batch.in_channels * np.asarray(batch.resolution, dtype=np.float64) ** 2
    return np.asarray(step.images * (pixels * _FLOAT32 + _INT64 + batch.num_classes * step.element))


def _choose(known: Mapping[str, int], name: str, what: str) -> int:
    if name not in known:
        raise QuantityError(f"The {what} must be one of {', '.join(known)}.", value=name)
    return known[name]
