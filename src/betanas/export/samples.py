"""The images that an export is checked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from betanas.data import DataSource, open_source, open_splits, open_test
from betanas.data.images import Images, Splits
from betanas.data.streaming import StreamedSplits
from betanas.errors import BetanasError, ExportError
from betanas.export.sidecar import Sidecar
from betanas.training.resample import resize
from betanas.trust import named_outside

MOST_REAL, MOST_RANDOM = 1000, 64

# For an 8-bit network: images that fix the ranges of its activations, and such that choose among ways to do it.
MOST_CALIBRATING, MOST_CHOOSING = 512, 2000

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Sample:
    """Images as an exported network takes them.

    Attributes:
        images: float32, shape [n, in_channels, resolution, resolution], values in [0, 1]; what takes bytes gets
            `pixels` in their place.
        origin: what they are, in words.
        real: whether anybody has photographed or drawn them.
        labels: int64, shape [n]; None for images that have none.
        pixels: the same images as decoded, uint8, shape [n, stored_side, stored_side, in_channels]; None where nothing
            that takes bytes is checked with them.
    """

    images: Tensor
    origin: str
    real: bool
    labels: Tensor | None = None
    pixels: Tensor | None = None


@dataclass(frozen=True, eq=False)
class QuantisationSamples:
    """What an 8-bit network is made and judged with.

    Attributes:
        calibration: training images.
        validation: images that choose.
        final: test images; None where the source has none.
    """

    calibration: Sample
    validation: Sample
    final: Sample | None


def given_source(sidecar: Sidecar, data: str) -> DataSource:
    """The source that a person names, for a network.

    Raises:
        DataError: there is no such source.
        ExportError: its images are not of the network's kind.
    """
    source = open_source(data)
    if source.in_channels > sidecar.in_channels:
        raise ExportError(
            "The images must have the network's channels, 1 for grey.", value=f"{source.in_channels} in {data}"
        )
    return source


def recorded_source(sidecar: Sidecar, folder: Path, *, trusted: bool = False) -> DataSource | None:
    """The source that a training's folder says the network was trained on, where it is still here and still the same.

    None where it is not, for an export's folder, which has come from anywhere, and where it is a Python file that
    nobody has said may be run: a network is exported without it too.
    """
    recorded = sidecar.document.get("data")
    if not isinstance(recorded, dict):
        return None
    name = recorded.get("source")
    if not isinstance(name, str) or not (folder / "plan.json").is_file():
        return None
    if named_outside({"source": name}) and not trusted:
        return None
    try:
        source = open_source(name)
        same = source.fingerprint == recorded.get("fingerprint") and len(source.classes) == sidecar.num_classes
    except (BetanasError, OSError):
        return None
    return source if same else None


def real_sample(sidecar: Sidecar, source: DataSource) -> Sample:
    """Up to 1,000 images, evenly spaced over the test part; where there is none, over the validation images.

    Raises:
        DataError: the images cannot be read.
    """
    if source.has_test:
        whole, part = open_test(source, resolution=sidecar.resolution), "test"
    else:
        whole, part = _splits(sidecar, source).validation, "validation"
    return _sample(sidecar, source, whole, part, MOST_REAL, keep_pixels=True)


def validation_batches(sidecar: Sidecar, source: DataSource) -> Iterator[Sample]:
    """All validation images, a batch at a time, since together they may not fit in memory.

    Raises:
        DataError: the images cannot be read.
    """
    whole = _splits(sidecar, source).validation
    for rows in torch.split(torch.arange(len(whole)), _BATCH):
        yield _rows(sidecar, source, whole, "validation", rows, keep_pixels=True)


def quantisation_samples(sidecar: Sidecar, source: DataSource) -> QuantisationSamples:
    """Training, validation and test images for an 8-bit network, evenly spaced over each part.

    Raises:
        DataError: the images cannot be read.
        ExportError: their classes are not the network's.
    """
    if len(source.classes) != sidecar.num_classes:
        raise ExportError(
            f"The images must be of the network's {sidecar.num_classes} classes.",
            value=f"{len(source.classes)} classes in {Path(source.name).name}",
        )
    splits = _splits(sidecar, source)
    test = open_test(source, resolution=sidecar.resolution) if source.has_test else None
    return QuantisationSamples(
        calibration=_sample(sidecar, source, splits.train, "training", MOST_CALIBRATING),
        validation=_sample(sidecar, source, splits.validation, "validation", MOST_CHOOSING),
        final=None if test is None else _sample(sidecar, source, test, "test", len(test)),
    )


def _splits(sidecar: Sidecar, source: DataSource) -> Splits | StreamedSplits:
    seed = int(sidecar.document.get("seed", 0))
    return open_splits(source, resolution=sidecar.resolution, seed=seed)


def _sample(
    sidecar: Sidecar, source: DataSource, whole: Images, part: str, most: int, *, keep_pixels: bool = False
) -> Sample:
    count = min(most, len(whole))
    rows = torch.from_numpy(np.linspace(0, len(whole) - 1, count).round().astype(np.int64))
    return _rows(sidecar, source, whole, part, rows, keep_pixels=keep_pixels)


def _rows(sidecar: Sidecar, source: DataSource, whole: Images, part: str, rows: Tensor, *, keep_pixels: bool) -> Sample:
    batches = [
        (_fitted(batch.images, sidecar) if keep_pixels else batch.images, batch.labels)
        for batch in whole.batches(torch.split(rows, _BATCH), device="cpu")
    ]
    # A data set of grey images may serve a network for colour ones.
    batches = [(planes.expand(-1, sidecar.in_channels, -1, -1), labels) for planes, labels in batches]
    return Sample(
        torch.cat([scaled(planes, sidecar.resolution) for planes, _ in batches]),
        f"{len(rows):,} {part} images of {Path(source.name).name}",
        real=True,
        labels=torch.cat([labels for _, labels in batches]),
        pixels=torch.cat([interleaved(planes) for planes, _ in batches]) if keep_pixels else None,
    )


def _fitted(planes: Tensor, sidecar: Sidecar) -> Tensor:
    """Images of a source that decodes to another side than training's, as something that takes bytes needs them."""
    side = sidecar.side_to_decode
    if planes.shape[-1] == side:
        return planes
    return resize(planes.float(), side).round().clamp(0, 255).to(torch.uint8)


def random_sample(sidecar: Sidecar) -> Sample:
    """Noise, where there are no images; the same every time."""
    side = sidecar.side_to_decode
    generator = torch.Generator().manual_seed(0)
    planes = torch.randint(
        0, 256, (MOST_RANDOM, sidecar.in_channels, side, side), generator=generator, dtype=torch.uint8
    )
    return Sample(
        scaled(planes, sidecar.resolution),
        f"{MOST_RANDOM} random images",
        real=False,
        pixels=interleaved(planes),
    )


def scaled(planes: Tensor, resolution: int) -> Tensor:
    """Decoded images as a network takes them.

    Args:
        planes: uint8, shape [n, channels, side, side].
        resolution: of the network.

    Returns:
        float32, shape [n, channels, resolution, resolution], values in [0, 1].
    """
    return resize(planes.float(), resolution) / 255


def interleaved(planes: Tensor) -> Tensor:
    """Decoded images as what takes bytes wants them: [n, channels, side, side] to [n, side, side, channels]."""
    return planes.permute(0, 2, 3, 1).contiguous()
