"""Crop, flip and resize a whole batch at once, each image by its own box.

Resizing is separable: every output row is a weighted sum of input rows, every output column of input columns.
One matrix of weights per image and axis therefore does crop, flip and (antialiased) resize in two batched
matrix products, whatever the boxes are. With an unresized box at whole pixels the matrices only pick rows and
columns: pixels are exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def axis_weights(start: Tensor, length: Tensor, *, source: int, size: int, reflect: bool = False) -> Tensor:
    """Weights that resample one axis of each image.

    The filter is the triangle that torch's antialiased bilinear interpolation uses.

    Args:
        start: first source coordinate of each box, float, shape [n]; it may lie outside the image.
        length: extent of each box, shape [n].
        source: source pixels along the axis.
        size: output pixels along the axis.
        reflect: whether the image is continued by its mirror image. Otherwise pixels outside the box take no
            part, exactly as if the box had been cut out before it was resized.

    Returns:
        Shape [n, size, source]; each row sums to 1.
    """
    step = (length / size)[:, None]
    steps = torch.arange(size, device=start.device, dtype=start.dtype) + 0.5
    centre = start[:, None] + steps * step
    low, high = start[:, None], (start + length)[:, None]
    if reflect:
        low, high = torch.zeros_like(low), torch.full_like(high, source)
        centre = source - (source - centre.abs()).abs()
    pixels = torch.arange(source, device=start.device, dtype=start.dtype) + 0.5
    distance = (pixels - centre[..., None]).abs() / step.clamp(min=1.0)[..., None]
    weights = (1.0 - distance).clamp(min=0.0)
    inside = (pixels > low[..., None]) & (pixels < high[..., None])
    weights = weights * inside
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-12)


def resample(images: Tensor, rows: Tensor, columns: Tensor, flip: Tensor | None = None) -> Tensor:
    """Apply each image's axis weights.

    Args:
        images: float, shape [n, channels, side, side].
        rows: weights of the output rows, from `axis_weights`, shape [n, size, side].
        columns: weights of the output columns, likewise.
        flip: which images to mirror left to right, bool, shape [n].

    Returns:
        Shape [n, channels, size, size].
    """
    if flip is not None:
        columns = torch.where(flip[:, None, None], columns.flip(1), columns)
    return rows[:, None] @ images @ columns.transpose(1, 2)[:, None]


def resize(images: Tensor, size: int) -> Tensor:
    """Resize whole images (float, shape [n, channels, side, side]) with antialiasing."""
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def resized_boxes(
    n: int,
    *,
    side: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Boxes of torchvision's RandomResizedCrop for n square images, drawn at once.

    Ten draws of area and aspect ratio for each image, the first that fits counts; where none does, the whole
    image cut to the nearest allowed ratio.

    Returns:
        Float, shape [n, 4]: top, left, height, width, whole pixels.
    """
    draws = torch.rand(4, n, 10, generator=generator, device=device)
    area = side * side * (scale[0] + (scale[1] - scale[0]) * draws[0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = (low + (high - low) * draws[1]).exp()
    width = (area * aspect).sqrt().round()
    height = (area / aspect).sqrt().round()
    fits = (width > 0) & (width <= side) & (height > 0) & (height <= side)
    first = fits.int().argmax(dim=1, keepdim=True)
    none = ~fits.any(dim=1)
    # A square image's ratio is 1: outside the allowed ones, one side shrinks.
    nearest = min(max(1.0, ratio[0]), ratio[1])
    fallback = (round(side / max(nearest, 1.0)), round(side * min(nearest, 1.0)))
    height = height.gather(1, first).squeeze(1).masked_fill(none, fallback[0])
    width = width.gather(1, first).squeeze(1).masked_fill(none, fallback[1])
    top = (draws[2, :, 0] * (side - height + 1)).floor()
    left = (draws[3, :, 0] * (side - width + 1)).floor()
    centred = none & (height + width < 2 * side)
    top = torch.where(centred, ((side - height) / 2).floor(), top)
    left = torch.where(centred, ((side - width) / 2).floor(), left)
    return torch.stack([top, left, height, width], dim=1)
