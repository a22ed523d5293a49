"""How long a network takes to answer, predicted from its blueprint by a model fitted to measurements on one machine.

A network's time is a sum of terms (`LATENCY_TERMS`), each a count of work times the seconds that a unit of it takes on
the machine. Counted is what decides the time of small networks: how many operations of each kind are started, their
multiply-accumulates, the weights and the values that they read and write.

Libraries of kernels hold channels in blocks of a vector's width. Convolutions whose channels fit such blocks take
another path through the library than those that do not, at another speed, and blocks that are not full cost as much as
full ones. So every kind of convolution has two sets of terms, and work is rounded up to whole blocks. Where a map comes
from one path and goes on in the other, its values are reordered; and an activation is often computed within the
convolution before it on one path, and apart on the other. The rules are onnxruntime's on x86 and Arm (blocks of 8 or 16
channels; a depthwise convolution is blocked where its channels are a multiple of 4, any other where its input channels
are, or are fewer than a block); other libraries draw the line elsewhere, and the fit then finds similar seconds for
both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from betanas.blocks import Activation, ConvNorm, SqueezeExcitation
from betanas.blueprint import BlueprintBatch, BoolArray, FloatArray, IntArray, LayerGroup
from betanas.cost.params import count_params
from betanas.errors import LimitError
from betanas.files import read_json

# Channels in a block, of the processors there are: 256 and 512 bits of float32.
BLOCKS = (8, 16)

# onnxruntime reorders values between layouts in fours.
_ALIGNED = 4

# Inputs of a convolution that a kernel works through before it writes its sums back.
_DEEP = 128

_MATRIX = ("weights", "macs", "padded macs", "inputs", "outputs", "passes")
_TERMS = {
    "network": ("started", "pixels", "classifier", "pooled", "parameters"),
    "dense blocked": ("started", *_MATRIX, "rows"),
    "dense plain": ("started", *_MATRIX, "rows"),
    "pointwise blocked": ("started", *_MATRIX),
    "pointwise plain": ("started", *_MATRIX),
    "depthwise blocked": ("started", "channels", "rows", "macs", "inputs", "outputs"),
    "depthwise plain": ("started", "channels", "rows", "macs", "inputs", "outputs"),
    "few channels": ("macs", "outputs"),
    "reordering": ("values",),
    "into blocks": ("started", "values"),
    "out of blocks": ("started", "values"),
    "squeeze-excitation": ("started", "values", "weights", "channels"),
    "max pool": ("started", "values"),
    "residual": ("started", "values"),
    **{activation.name: ("started", "values") for activation in Activation},
    **{f"{activation.name} after plain": ("started", "values") for activation in Activation},
}

LATENCY_TERMS = tuple(f"{of}: {what}" for of, names in _TERMS.items() for what in names)


_COLUMNS = {name: column for column, name in enumerate(LATENCY_TERMS)}

# Of a model as JSON.
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class LatencyError:
    """How far predictions are from measurements, as shares of what was measured.

    Attributes:
        networks: that were compared.
        median, p90, most: of the absolute relative errors.
        within_10: share of the networks whose error is at most 10%.
    """

    networks: int
    median: float
    p90: float
    most: float
    within_10: float

    @classmethod
    def of(cls, predicted: FloatArray, measured: FloatArray) -> LatencyError:
        """Compare seconds, shape [n] both, n at least 1."""
        errors = np.abs(predicted / measured - 1.0)
        p90 = float(np.quantile(errors, 0.9))
        return cls(len(errors), float(np.median(errors)), p90, float(errors.max()), float((errors <= 0.1).mean()))


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """Predicts the seconds that networks take to answer, in one way to run them on one machine.

    Attributes:
        runtime: `onnxruntime`, `eager` or `compiled`, as in `betanas.profiling`.
        threads: of the processor.
        batch_size: images an answer.
        processor: where was measured, in words.
        versions: of the packages that ran the networks.
        measured: the day, as ISO writes it.
        block: channels in a block, as in `latency_terms`.
        seconds_of: seconds of one unit of each term; terms that cost nothing are left out.
        error: on networks that it was not fitted to.
        slowest: seconds of the slowest network that was measured: predictions beyond are extrapolated.
        reference: seconds of the calibration's reference network, which say how fast the machine was; None where it
            was not measured.
    """

    runtime: str
    threads: int
    batch_size: int
    processor: str
    versions: Mapping[str, str]
    measured: str
    block: int
    seconds_of: Mapping[str, float]
    error: LatencyError
    slowest: float
    reference: float | None = None

    def predict(self, batch: BlueprintBatch) -> FloatArray:
        """Seconds that each network takes for an answer to `batch_size` images, shape [n]."""
        prices = np.array([self.seconds_of.get(name, 0.0) for name in LATENCY_TERMS])
        seconds: FloatArray = latency_terms(batch, self.block) @ prices
        return seconds

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        images = f"{self.batch_size} image{'s' if self.batch_size > 1 else ''}"
        return f"{self.runtime}, {threads}, {images}, {self.processor}"

    def to_document(self) -> dict[str, Any]:
        """The model as plain JSON."""
        return {"format": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_document(cls, document: Any) -> LatencyModel:
        """Read what `to_document` wrote, checking every value.

        Raises:
            LimitError: it is no model, or one of another version.
        """
        hint = "Make one with betanas profile --calibrate."
        if not isinstance(document, dict) or "format" not in document:
            raise LimitError("A latency table must be a JSON object with a format.", hint=hint)
        if document["format"] != FORMAT_VERSION:
            raise LimitError(
                f"This version reads latency tables of format {FORMAT_VERSION}.", value=document["format"], hint=hint
            )
        try:
            values = {one.name: document[one.name] for one in fields(cls) if one.name != "reference"}
            reference = None if document.get("reference") is None else float(document["reference"])
            error = LatencyError(**values.pop("error"))
            prices = {str(name): float(price) for name, price in values.pop("seconds_of").items()}
            versions = {str(name): str(version) for name, version in values.pop("versions").items()}
            whole = {name: int(values.pop(name)) for name in ("threads", "batch_size", "block")}
            slowest = float(values.pop("slowest"))
            words = {name: str(value) for name, value in values.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise LimitError("A latency table must have all of its fields.", value=repr(fault), hint=hint) from fault
        if unknown := [name for name in prices if name not in _COLUMNS]:
            raise LimitError("A latency table's terms must be known to this version.", value=unknown[0], hint=hint)
        if whole["block"] not in BLOCKS or not all(0 <= price < np.inf for price in prices.values()) or not prices:
            raise LimitError("A latency table's numbers must make sense.", value=f"block {whole['block']}", hint=hint)
        found: dict[str, Any] = {**whole, **words, "versions": versions, "seconds_of": prices, "error": error}
        return cls(**found, slowest=slowest, reference=reference)

    @classmethod
    def load(cls, path: str | Path) -> LatencyModel:
        """Read the model in a latency table, as `betanas profile --calibrate` writes it.

        Raises:
            LimitError: the file cannot be read, or is no latency table of this version.
        """
        return cls.from_document(read_latency_file(Path(path), "A latency table"))


def read_latency_file(path: Path, what: str) -> Any:
    """A file's JSON.

    Raises:
        LimitError: it cannot be read, or is no JSON.
    """
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise LimitError(f"{what} must be a readable JSON file.", value=str(path), hint=str(error)) from error


def latency_terms(batch: BlueprintBatch, block: int) -> FloatArray:
    """How often each of `LATENCY_TERMS` occurs in an answer to one image, shape [n, terms].

    Args:
        batch: the blueprints.
        block: channels in a block, one of `BLOCKS`.
    """
    tally = _Tally(len(batch), batch.present.shape[1], block)
    before, after = batch.entering.ravel(), batch.layers.resolution.ravel()
    convolved, entering, leaving = _layouts(batch, block)
    for group in batch.groups:
        tally.add_group(group, before[group.places], after[group.places], entering[group.places])

    places = np.flatnonzero(batch.residual)
    values = batch.layers.resolution.ravel()[places] ** 2 * batch.layers.out_channels.ravel()[places]
    tally.add("residual", places, started=1, values=values)
    mixed = convolved[places] & ~entering[places]
    tally.add("out of blocks", places[mixed], started=1, values=values[mixed])

    rows = np.flatnonzero(batch.latent) * batch.present.shape[1]
    chosen = batch.latent > 0
    side, latent = batch.last_resolution[chosen], batch.latent[chosen]
    step = ConvNorm("latent", batch.last_channels[chosen], latent)
    leaving[chosen] = tally.add_convolution(rows, step, side, side, leaving[chosen])
    activations = batch.last(batch.layers.activation)[chosen]
    for activation in Activation:
        mine = activations == activation
        tally.add_activation(activation, rows[mine], (side**2 * latent)[mine], leaving[chosen][mine])

    everyone = np.arange(len(batch)) * batch.present.shape[1]
    pooled = batch.last_resolution**2 * batch.num_features
    tally.add("out of blocks", everyone[leaving], started=1, values=pooled[leaving])
    tally.add(
        "network",
        everyone,
        started=1,
        pixels=batch.in_channels * np.broadcast_to(np.square(batch.resolution), len(batch)),
        classifier=batch.num_features * batch.num_classes,
        pooled=pooled,
        parameters=count_params(batch),
    )
    return tally.counts


def _layouts(batch: BlueprintBatch, block: int) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Where maps are in blocks of channels.

    Returns:
        Whether each layer's last convolution gives blocks, shape [n * m]; whether a map enters each layer so, shape
        [n * m]; whether one leaves the last layer so, shape [n].
    """
    flat = np.zeros(batch.present.size, dtype=np.bool_)
    for group in batch.groups:
        last = [step for step in group.block.steps(group, group.squeezed) if isinstance(step, ConvNorm)][-1]
        flat[group.places] = _in_blocks(last, block)
    convolved = flat.reshape(batch.present.shape)
    entering, now = np.zeros_like(convolved), np.zeros(len(batch), dtype=np.bool_)
    for column in range(batch.present.shape[1]):
        entering[:, column] = now
        # A sum is in blocks where both of its parts are.
        after = convolved[:, column] & (now | ~batch.residual[:, column])
        now = np.where(batch.present[:, column], after, now)
    return flat, entering.ravel(), now


def _in_blocks(step: ConvNorm[Any], block: int) -> BoolArray:
    """Which convolutions of a step take the path of blocks, shape [layers]."""
    takes = np.asarray(step.takes)
    aligned: BoolArray = takes % _ALIGNED == 0
    return aligned if step.depthwise else aligned | (takes < block)


class _Tally:
    """Counts of every term, network by network.

    Attributes:
        counts: shape [n, terms].
    """

    def __init__(self, networks: int, depth: int, block: int) -> None:
        self.counts = np.zeros((networks, len(LATENCY_TERMS)))
        self._depth, self._block = depth, block

    def add(self, of: str, places: IntArray, **amounts: Any) -> None:
        """Add amounts of terms at places in the flattened arrays of layers, [n * m]."""
        rows = places // self._depth
        for what, amount in amounts.items():
            weights = np.broadcast_to(np.asarray(amount, dtype=np.float64), places.shape)
            column = _COLUMNS[f"{of}: {what.replace('_', ' ')}"]
            self.counts[:, column] += np.bincount(rows, weights, minlength=len(self.counts))

    def add_activation(self, activation: Activation, places: IntArray, values: IntArray, blocked: BoolArray) -> None:
        """Add activations of so many values after convolutions in blocks or not, shape [layers]."""
        self.add(activation.name, places, started=1, values=values)
        self.add(f"{activation.name} after plain", places[~blocked], started=1, values=values[~blocked])

    def add_group(self, group: LayerGroup, before: IntArray, after: IntArray, entering: BoolArray) -> None:
        """Add the steps of layers of one form.

        Args:
            group: the layers.
            before: sides of their inputs, shape [layers].
            after: sides of their outputs, shape [layers].
            entering: whether their inputs are in blocks, shape [layers].
        """
        side, at, blocked = before, group.places, entering
        for step in group.block.steps(group, group.squeezed):
            if isinstance(step, SqueezeExcitation):
                values = side**2 * step.channels
                self.add(
                    "squeeze-excitation", at, started=1, values=values, weights=step.weights, channels=step.channels
                )
                self.add("out of blocks", at[blocked], started=1, values=values[blocked])
                blocked = np.zeros_like(blocked)
                continue
            pools = step.contracts and group.pooled
            given = after if step.contracts and not pools else side
            blocked = self.add_convolution(at, step, side, given, blocked)
            if step.activated:
                self.add_activation(group.activation, at, given**2 * step.gives, blocked)
            if pools:
                self.add("max pool", at, started=1, values=given**2 * step.gives)
            side = after if step.contracts else given

    def add_convolution(
        self, places: IntArray, step: ConvNorm[Any], before: IntArray, after: IntArray, entering: BoolArray
    ) -> BoolArray:
        """Add convolutions between maps of these sides; where maps enter and leave in blocks, shape [layers]."""
        takes, gives = np.asarray(step.takes), np.asarray(step.gives)
        blocked = _in_blocks(step, self._block)
        # Where fewer channels come in than a block has, it reads them as they are in an image.
        reads = blocked if step.depthwise else blocked & (takes >= self._block)
        for moved, name in ((reads & ~entering, "into blocks"), (entering & ~reads, "out of blocks")):
            self.add(name, places[moved], started=1, values=(before**2 * takes)[moved])
        for chosen, path in ((blocked, "blocked"), (~blocked, "plain")):
            kind = "depthwise" if step.depthwise else "pointwise" if step.kernel == 1 else "dense"
            sizes = (each[chosen] for each in (takes, gives, before, after))
            count = self._depthwise if step.depthwise else self._matrix
            amounts = count(*sizes, kernel=step.kernel, blocked=path == "blocked")
            if kind == "pointwise":
                del amounts["rows"]
            self.add(f"{kind} {path}", places[chosen], started=1, **amounts)
        few = blocked & ~reads
        outputs = after**2 * gives
        self.add("few channels", places[few], macs=(step.kernel**2 * takes * outputs)[few], outputs=outputs[few])
        self.add("reordering", places[blocked], values=(after**2 * gives)[blocked])
        return blocked

    def _depthwise(
        self, takes: IntArray, _: IntArray, before: IntArray, after: IntArray, *, kernel: int, blocked: bool
    ) -> dict[str, IntArray]:
        channels = _up(takes, self._block) if blocked else takes
        return {
            "channels": channels,
            "rows": channels * after,
            "macs": channels * after**2 * kernel**2,
            "inputs": channels * before**2,
            "outputs": channels * after**2,
        }

    def _matrix(
        self, takes: IntArray, gives: IntArray, _: IntArray, after: IntArray, *, kernel: int, blocked: bool
    ) -> dict[str, IntArray]:
        """Of a convolution that is a product of matrices, [gives, inputs] by [inputs, pixels]."""
        block, pixels = self._block, after**2
        if blocked:
            takes, gives = np.where(takes < block, takes, _up(takes, block)), _up(gives, block)
        inputs = kernel**2 * takes
        # A kernel keeps four blocks of outputs in registers, or a block of pixels.
        padded = pixels * _up(gives, 4 * block) if blocked else _up(pixels, block) * gives
        return {
            "weights": inputs * gives,
            "macs": pixels * inputs * gives,
            "padded_macs": padded * inputs,
            "inputs": inputs * pixels,
            "outputs": gives * pixels,
            "passes": gives * pixels * -(-inputs // _DEEP),
            "rows": inputs * after * (gives if blocked else 1),
        }


def _up(values: IntArray, block: int) -> IntArray:
    """Rounded up to whole blocks."""
    return -(-values // block) * block
