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
from dataclasses import dataclass

import numpy as np

from betanas.blueprint import KINDS, BlueprintBatch, BoolArray, FloatArray, IntArray
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

    layers = _walk_layers(batch, step)
    classifier = _walk_backwards(_classifier(batch, step))
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
    step: _Step,
    weights: FloatArray,
    takes: FloatArray,
    gives: FloatArray,
    *,
    saved: FloatArray | None = None,
    input_gradient: FloatArray | None = None,
) -> _Operation:
    """A convolution or a linear layer; the first of a network saves and makes less than its input's size."""
    copy = weights * step.element if step.autocast else 0.0
    return _Operation(
        saved=(takes if saved is None else saved) + copy,
        live=gives + (takes if input_gradient is None else input_gradient),
        weights=weights * _FLOAT32,
    )


def _norm(channels: FloatArray, size: FloatArray) -> _Operation:
    """Batch norm: its input, mean and deviation are saved; scale and shift are learnt, mean and variance tracked."""
    pair = 2 * _FLOAT32 * channels
    return _Operation(saved=size + pair, live=2 * size, weights=pair, buffers=pair)


def _silu(size: FloatArray) -> _Operation:
    return _Operation(saved=size, live=2 * size)


def _squeeze(step: _Step, channels: FloatArray, squeeze: FloatArray, size: FloatArray) -> _Operation:
    """Squeeze-excitation's way from a map to one factor a channel.

    The pooled and the squeezed channels are saved as the inputs of two convolutions and two activations. The
    gradient of the pooling is a map, which is added to the one that the scaling left: three maps with their sum.
    """
    weights = 2 * channels * squeeze + channels + squeeze
    copy = weights * step.element if step.autocast else 0.0
    pooled = 2 * step.map(channels) + 2 * step.map(squeeze)
    return _Operation(saved=pooled + copy, live=3 * size, weights=weights * _FLOAT32)


def _scale(size: FloatArray) -> _Operation:
    """Squeeze-excitation's product of map and factors: two products of the map's size undo it."""
    return _Operation(saved=size, live=3 * size)


@dataclass(frozen=True, slots=True)
class _Layers:
    """The layers of one kind of a whole batch, one after another: every array has the shape [layers of that kind].

    Attributes:
        i, o, h, q: input, output, hidden and squeeze channels.
        x: bytes of the input map.
        y: bytes of the output map.
        wide_x: bytes of a map of hidden channels and the input's side.
        wide_y: bytes of a map of hidden channels and the output's side.
        saved_x: bytes of the input map that are saved: none of a batch of images that the step holds anyway.
        gradient_x: bytes of the input map's gradient: none of the images.
    """

    i: FloatArray
    o: FloatArray
    h: FloatArray
    q: FloatArray
    x: FloatArray
    y: FloatArray
    wide_x: FloatArray
    wide_y: FloatArray
    saved_x: FloatArray
    gradient_x: FloatArray

    @classmethod
    def of(cls, batch: BlueprintBatch, where: BoolArray, step: _Step) -> _Layers:
        i, o, h, q, side_in, side = (
            values[where].astype(np.float64)
            for values in (
                batch.channels_in, batch.channels_out, batch.hidden, batch.squeeze, batch.side_in, batch.side,
            )
        )  # fmt: skip
        x = step.map(i, side_in**2)
        head = np.nonzero(where)[1] == 0
        return cls(
            i, o, h, q,
            x=x,
            y=step.map(o, side**2),
            wide_x=step.map(h, side_in**2),
            wide_y=step.map(h, side**2),
            saved_x=x if step.autocast else np.where(head, 0.0, x),
            gradient_x=np.where(head, 0.0, x),
        )  # fmt: skip

    def first(self, step: _Step, weights: FloatArray, gives: FloatArray) -> _Operation:
        """The layer's first convolution."""
        return _convolution(step, weights, self.x, gives, saved=self.saved_x, input_gradient=self.gradient_x)


def _cna(at: _Layers, step: _Step) -> list[_Operation]:
    return [at.first(step, 9 * at.i * at.o, at.y), _norm(at.o, at.y), _silu(at.y)]


def _fmbc(at: _Layers, step: _Step) -> list[_Operation]:
    return [
        at.first(step, 9 * at.i * at.h, at.wide_y),
        _norm(at.h, at.wide_y),
        _silu(at.wide_y),
        _convolution(step, at.h * at.o, at.wide_y, at.y),
        _norm(at.o, at.y),
    ]


def _mbc(at: _Layers, step: _Step) -> list[_Operation]:
    return [
        at.first(step, at.i * at.h, at.wide_x),
        _norm(at.h, at.wide_x),
        _silu(at.wide_x),
        _convolution(step, 9 * at.h, at.wide_x, at.wide_y),
        _norm(at.h, at.wide_y),
        _silu(at.wide_y),
        _squeeze(step, at.h, at.q, at.wide_y),
        _scale(at.wide_y),
        _convolution(step, at.h * at.o, at.wide_y, at.y),
        _norm(at.o, at.y),
    ]


_LAYER_OPERATIONS = {"CNA": _cna, "FMBC": _fmbc, "MBC": _mbc}


def _classifier(batch: BlueprintBatch, step: _Step) -> list[_Operation]:
    """From the last feature map to the loss; arrays of shape [n]."""
    last, latent = batch.last_channels.astype(np.float64), batch.latent.astype(np.float64)
    pixels = batch.last_side.astype(np.float64) ** 2
    classes = np.full(len(batch), float(batch.num_classes))
    size, pooled, logits = step.map(latent, pixels), step.map(latent), step.map(classes)
    log_probabilities = classes * float(step.images * _FLOAT32)
    return [
        _convolution(step, last * latent, step.map(last, pixels), size),
        _norm(latent, size),
        _silu(size),
        _convolution(step, latent * classes + classes, pooled, logits),
        _Operation(saved=log_probabilities, live=2 * log_probabilities),
    ]


def _walk_layers(batch: BlueprintBatch, step: _Step) -> _Walk:
    """Every layer by itself; arrays of shape [n, m], zero where there is no layer."""
    total = _Walk(*(np.zeros(batch.present.shape) for _ in range(4)))
    for index, kind in enumerate(KINDS):
        where = batch.present & (batch.kind == index)
        layers = _Layers.of(batch, where, step)
        walk = _walk_backwards(_LAYER_OPERATIONS[kind](layers, step))
        total.saved[where], total.weights[where], total.buffers[where] = (
            walk.saved,
            walk.weights,
            walk.buffers,
        )
        # A residual's gradient reaches the branch through stochastic depth, as a map of its own, and waits itself for
        # the branch's to be added at the end.
        total.peak[where] = walk.peak + np.where(batch.residual[where], layers.y, 0.0)
    return total


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
