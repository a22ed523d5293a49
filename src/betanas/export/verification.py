"""Whether what was written computes what PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from betanas.errors import ExportError
from betanas.export.samples import Sample

# Of logits or probabilities, in float32: other kernels add in another order. What is wrong differs by far more.
TOLERANCE = 1e-4

# Share of all validation images whose first choice must be the same: those left may be ties of rounding.
LEAST_AGREEMENT = 0.999

# The first batches are odd ones, which a graph of a fixed batch size would refuse.
_BATCHES = (1, 3, 64)

Runner = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Verification:
    """How an exported network compared with the original.

    Attributes:
        largest_difference: of a logit (with preprocessing inside, of a probability), absolute.
        images: how many were compared; the first choice was the same for all of them.
        origin: what they are, in words.
        real: whether they are real images.
        agreement: share of all validation images whose first choice is the same, in [0, 1]; None where they are not at
            hand, and for weights and source, which the same code of PyTorch's computes.
        validation_images: how many these are.
    """

    largest_difference: float
    images: int
    origin: str
    real: bool
    agreement: float | None = None
    validation_images: int = 0


def logits_of(run: Runner, images: Tensor) -> Tensor:
    """A network's logits, batch by batch: batches of 1, 3 and then 64 images.

    Args:
        run: images [batch, channels, side, side] to logits [batch, classes].
        images: float32, shape [n, channels, side, side].

    Returns:
        Shape [n, classes].
    """
    found: list[Tensor] = []
    first = 0
    with torch.inference_mode():
        while first < len(images):
            batch = images[first : first + _BATCHES[min(len(found), len(_BATCHES) - 1)]]
            found.append(run(batch))
            first += len(batch)
    return torch.cat(found)


def verify(what: str, run: Runner, *, expected: Tensor, sample: Sample) -> Verification:
    """Compare an exported network with the original.

    Args:
        what: the export, for a message.
        run: images to the exported network's logits.
        expected: the original's logits of the sample.
        sample: what both are asked.

    Raises:
        ExportError: a logit differs by `TOLERANCE` or more, or an image's first choice does.
    """
    found = logits_of(run, sample.images)
    if found.shape != expected.shape:
        raise _refusal(what, f"outputs of shape {list(found.shape)}, not {list(expected.shape)}")
    largest = (found - expected).abs().max().item()
    if not largest < TOLERANCE:  # also where it is not a number
        raise _refusal(what, f"an output that differs by {largest:.3g}, on {sample.origin}")
    other = int((found.argmax(1) != expected.argmax(1)).sum())
    if other:
        raise _refusal(what, f"another first choice for {other} of {sample.origin}")
    return Verification(largest, len(expected), sample.origin, sample.real)


def check_agreement(
    runs: Mapping[str, Runner], *, original: Runner, batches: Iterable[Sample], from_bytes: bool
) -> dict[str, tuple[float, int]]:
    """Compare first choices on any number of images.

    Args:
        runs: exported networks by the name of their format.
        original: runs the network in PyTorch.
        batches: the images.
        from_bytes: whether the exported networks take bytes.

    Returns:
        For each format the share of equal first choices and the number of images.

    Raises:
        ExportError: a share is below `LEAST_AGREEMENT`.
    """
    same, total = dict.fromkeys(runs, 0), 0
    with torch.inference_mode():
        for batch in batches:
            expected = original(batch.images).argmax(1)
            total += len(expected)
            for name, run in runs.items():
                images = batch.pixels if from_bytes else batch.images
                assert images is not None  # noqa: S101 - `validation_batches` keeps them: narrows the type
                same[name] += int((run(images).argmax(1) == expected).sum())
    for name, count in same.items():
        if count < LEAST_AGREEMENT * total:
            raise _refusal(name, f"the same first choice for {count:,} of {total:,} validation images only")
    return {name: (count / total, total) for name, count in same.items()}


def _refusal(what: str, found: str) -> ExportError:
    return ExportError(
        f"The exported {what} must compute the same as the network, with outputs within {TOLERANCE:g}.",
        value=found,
        hint="Nothing was kept. Export another --format, and please report this with the versions of "
        "torch and of the format's packages.",
    )
