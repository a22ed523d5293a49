from __future__ import annotations

import pytest
import torch

from betanas.data.images import ImageSet
from betanas.training.augmentation import Augmentation, Standardise
from betanas.training.batches import ALONE, BatchStream, Share
from betanas.training.recipe import load_recipe


def numbered(n: int) -> ImageSet:
    """Images whose label says which one they are."""
    levels = torch.arange(n) % 256
    return ImageSet(levels.to(torch.uint8)[:, None, None, None].expand(n, 1, 4, 4).contiguous(), torch.arange(n))


def stream(n: int, *, batch_size: int, seed: int = 0, share: Share = ALONE, **settings) -> BatchStream:
    images = numbered(n)
    recipe = load_recipe("fast").with_settings(**settings)
    return BatchStream(
        images,
        Augmentation(recipe, Standardise(images.images, recipe), side=4),
        batch_size=batch_size,
        seed=seed,
        share=share,
    )


def labels(batches: BatchStream, steps: int) -> list[list[int]]:
    return [batches.next(4)[1].tolist() for _ in range(steps)]


def test_a_pass_holds_each_image_at_most_once_in_an_order_of_its_own():
    batches = stream(23, batch_size=5)
    assert batches.steps_per_epoch == 4
    passes = [[label for batch in labels(batches, 4) for label in batch] for _ in range(3)]
    for each in passes:
        assert len(set(each)) == 20
    assert passes[0] != passes[1] != passes[2]
    assert set().union(*passes) == set(range(23))


def test_the_seed_decides_the_order():
    first, same, other = (labels(stream(40, batch_size=8, seed=seed), 5) for seed in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize(("n", "batch_size", "expected"), [(3, 100, (3, 1)), (100, 100, (100, 1)), (7, 3, (3, 2))])
def test_fewer_images_than_a_batch_are_one(n, batch_size, expected):
    batches = stream(n, batch_size=batch_size)
    assert (batches.batch_size, batches.steps_per_epoch) == expected


def test_processes_share_a_pass_without_overlap_and_see_what_one_would():
    together = stream(64, batch_size=16, crop="shift", flip=0.5, brightness=0.2)
    parts = [
        stream(64, batch_size=4, crop="shift", flip=0.5, brightness=0.2, share=Share(rank, 4)) for rank in range(4)
    ]
    assert [part.steps_per_epoch for part in parts] == [4] * 4
    seen = set()
    for _ in range(4):
        images, expected = together.next(4)
        batches = [part.next(4) for part in parts]
        assert torch.cat([own for _, own in batches]).tolist() == expected.tolist()
        torch.testing.assert_close(torch.cat([own for own, _ in batches]), images)
        seen.update(expected.tolist())
    assert seen == set(range(64))


def test_a_stream_goes_on_where_another_stood():
    for steps in (0, 3, 7):
        original = stream(30, batch_size=7, flip=0.5)
        labels(original, steps)
        state = original.state_dict()
        resumed = stream(30, batch_size=7, flip=0.5, seed=99)
        resumed.load_state_dict(state)
        for _ in range(6):
            ours, theirs = original.next(4), resumed.next(4)
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])
