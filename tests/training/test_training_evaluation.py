from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from betanas.data.images import ImageSet
from betanas.training.augmentation import Standardise
from betanas.training.batches import Share
from betanas.training.evaluation import Glance, evaluate, score_of
from betanas.training.recipe import load_recipe


class Ranked(nn.Module):
    """Gives fixed logits, found by the image's first pixel."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits[(images[:, 0, 0, 0] * 255).round().long()]


def judged(logits: torch.Tensor, labels: list[int], **settings):
    images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(len(labels))
    recipe = load_recipe("fast").with_settings(mean=[0.0], std=[1.0])
    sums = evaluate(
        Ranked(logits),
        ImageSet(images, torch.tensor(labels)),
        standardise=Standardise(images, recipe),
        resolution=2,
        **settings,
    )
    return sums, score_of(sums, num_classes=logits.shape[1])


def test_scores_by_hand():
    ladder = torch.arange(8.0).expand(4, 8)
    # Ranks of the labels: first, second, fifth, eighth.
    _, score = judged(ladder, [7, 6, 3, 0])
    assert (score.top1, score.top5, score.images) == (0.25, 0.75, 4)
    normaliser = math.log(sum(math.exp(i) for i in range(8)))
    assert score.loss == pytest.approx(normaliser - (7 + 6 + 3 + 0) / 4, rel=1e-6)


def test_few_classes_have_no_top5():
    _, score = judged(torch.eye(3), [0, 1, 0])
    assert (score.top1, score.top5) == (pytest.approx(2 / 3), None)


def test_parts_of_several_processes_add_up():
    logits = torch.randn(23, 10, generator=torch.Generator().manual_seed(0))
    labels = [i % 10 for i in range(23)]
    whole, _ = judged(logits, labels)
    parts = [judged(logits, labels, share=Share(rank, 3))[0] for rank in range(3)]
    torch.testing.assert_close(sum(parts), whole)
    assert whole[3] == 23


@pytest.mark.parametrize(
    ("least", "seconds", "expected"),
    [(0, 0.0, 4), (4, 0.0, 4), (5, 0.0, 8), (9, 1e9, 23), (23, 0.0, 23), (99, 0.0, 23)],
)
def test_where_images_take_long_fewer_are_looked_at_in_the_given_order(least, seconds, expected):
    logits = torch.randn(23, 10, generator=torch.Generator().manual_seed(0))
    labels, order = [i % 10 for i in range(23)], torch.randperm(23, generator=torch.Generator().manual_seed(1))
    sums, score = judged(logits, labels, glance=Glance(order, least, seconds), batch_size=4)
    assert score.images == expected
    first = order[:expected]
    right = logits[first].argmax(1) == torch.tensor(labels)[first]
    assert sums[0] == right.sum()


def test_several_processes_look_at_as_many_together():
    logits, labels = torch.randn(23, 10), [i % 10 for i in range(23)]
    glance = Glance(torch.arange(23), least=12, seconds=0.0)
    images = [judged(logits, labels, share=Share(rank, 3), glance=glance, batch_size=2)[1].images for rank in range(3)]
    assert images == [4, 4, 4]


def test_a_mirror_image_is_averaged_in():
    class Sided(nn.Module):
        """Says class 0 if the left half is brighter, with a strength that differs between the sides."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            left, right = images[..., 0].mean((1, 2)), images[..., 1].mean((1, 2))
            return torch.stack([3 * left - right, torch.zeros_like(left)], dim=1)

    images = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    images[..., 1] = 255
    recipe = load_recipe("fast").with_settings(mean=[0.0], std=[1.0])
    settings = {"standardise": Standardise(images, recipe), "resolution": 2}
    split = ImageSet(images, torch.tensor([0]))
    assert score_of(evaluate(Sided(), split, **settings), num_classes=2).top1 == 0.0
    assert score_of(evaluate(Sided(), split, flip=True, **settings), num_classes=2).top1 == 1.0


def test_many_images_go_through_in_batches():
    sizes = []

    class Counting(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            sizes.append(len(images))
            return torch.zeros(len(images), 2)

    images = torch.zeros(1300, 1, 2, 2, dtype=torch.uint8)
    split = ImageSet(images, torch.zeros(1300, dtype=torch.int64))
    recipe = load_recipe("fast")
    evaluate(Counting(), split, standardise=Standardise(images, recipe), resolution=2)
    assert sizes == [256] * 5 + [20]
