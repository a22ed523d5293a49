from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2.functional import resized_crop

from betanas.training.resample import axis_weights, resample, resize, resized_boxes


def images_of(n: int, side: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(side)) * 255


def apply_boxes(images: torch.Tensor, boxes: torch.Tensor, size: int, flip: torch.Tensor | None = None, **settings):
    top, left, height, width = boxes.float().unbind(1)
    side = images.shape[-1]
    rows = axis_weights(top, height, source=side, size=size, **settings)
    columns = axis_weights(left, width, source=side, size=size, **settings)
    return resample(images, rows, columns, flip)


@settings(deadline=None)
@given(
    side=st.integers(4, 40),
    size=st.integers(2, 48),
    corners=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_a_box_is_cut_out_and_resized_as_torchvision_does(side, size, corners):
    height, width = (1 + int(corners[i] * (side - 1)) for i in (0, 1))
    top, left = int(corners[2] * (side - height)), int(corners[3] * (side - width))
    images = images_of(2, side)
    ours = apply_boxes(images, torch.tensor([[top, left, height, width]] * 2), size)
    theirs = resized_crop(
        images, top, left, height, width, [size, size], interpolation=InterpolationMode.BILINEAR, antialias=True
    )
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=1e-4)


def test_every_image_has_its_own_box_and_flip():
    images = images_of(2, 8)
    boxes = torch.tensor([[0, 0, 4, 4], [4, 4, 4, 4]])
    cut = apply_boxes(images, boxes, 4, torch.tensor([False, True]))
    torch.testing.assert_close(cut[0], images[0, :, :4, :4])
    torch.testing.assert_close(cut[1], images[1, :, 4:, 4:].flip(-1))


@pytest.mark.parametrize("shift", [-3, -1, 0, 2, 4])
def test_a_shift_moves_whole_pixels_and_reflects_the_border(shift):
    images = images_of(1, 8)
    moved = apply_boxes(images, torch.tensor([[shift, 0, 8, 8]]), 8, reflect=True)
    padded = torch.cat([images.flip(2), images, images.flip(2)], dim=2)
    torch.testing.assert_close(moved, padded[:, :, 8 + shift : 16 + shift])


@given(start=st.floats(-30, 30), length=st.floats(0.5, 60), size=st.integers(1, 40), reflect=st.booleans())
def test_weights_are_an_average_of_pixels(start, length, size, reflect):
    weights = axis_weights(torch.tensor([start]), torch.tensor([length]), source=20, size=size, reflect=reflect)
    assert weights.shape == (1, size, 20)
    assert (weights >= 0).all()
    sums = weights.sum(-1)
    assert ((sums - 1).abs().lt(1e-4) | sums.eq(0)).all()


def test_resizing_keeps_what_has_the_size_and_averages_what_is_larger():
    images = images_of(2, 8)
    assert resize(images, 8) is images
    assert resize(torch.full((1, 3, 8, 8), 7.0), 3).allclose(torch.full((1, 3, 3, 3), 7.0))


def test_boxes_are_distributed_as_torchvisions():
    generator = torch.Generator().manual_seed(0)
    boxes = resized_boxes(
        4000, side=32, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), generator=generator, device=torch.device("cpu")
    )
    top, left, height, width = boxes.unbind(1)
    assert (boxes == boxes.round()).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 32).all()
    assert (left + width <= 32).all()
    torch.manual_seed(0)
    theirs = RandomResizedCrop(32, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3))
    drawn = [theirs.make_params([torch.empty(1, 32, 32)]) for _ in range(4000)]
    for name, ours in {"top": top, "left": left, "height": height, "width": width}.items():
        reference = torch.tensor([float(each[name]) for each in drawn])
        assert ours.mean() == pytest.approx(reference.mean(), abs=0.5)
        assert ours.std() == pytest.approx(reference.std(), abs=0.5)


@pytest.mark.parametrize(("ratio", "expected"), [((2.0, 3.0), (4, 0, 8, 16)), ((0.25, 0.5), (0, 4, 16, 8))])
def test_boxes_that_never_fit_fall_back_to_the_middle(ratio, expected):
    boxes = resized_boxes(
        3, side=16, scale=(1.0, 1.0), ratio=ratio, generator=torch.Generator(), device=torch.device("cpu")
    )
    assert [tuple(int(v) for v in box) for box in boxes] == [expected] * 3
