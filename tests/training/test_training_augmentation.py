from __future__ import annotations

import pytest
import torch
from torchvision.transforms import AutoAugmentPolicy
from torchvision.transforms.v2 import AutoAugment
from torchvision.transforms.v2 import functional as reference

from betanas.training.augmentation import Augmentation, Standardise
from betanas.training.autoaugment import BatchedAutoAugment
from betanas.training.recipe import load_recipe

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8, generator=generator(1))


PLAIN = {"crop": "none", "flip": 0.0, "mean": [0.0] * 3, "std": [1 / 255] * 3}


def augment(images, *, size=16, seed=0, **settings):
    recipe = load_recipe("fast").with_settings(**{**PLAIN, **settings})
    augmentation = Augmentation(recipe, Standardise(images, recipe), side=images.shape[-1])
    draws = augmentation.draw(len(images), generator=generator(seed))
    return augmentation.apply(images, draws, size), draws


def test_standardising_takes_the_images_own_moments_or_the_recipes(images):
    fast, paper = load_recipe("fast"), load_recipe("paper")
    own = Standardise(images, fast)(images)
    assert own.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert (own.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-3
    black = Standardise(images, paper)(torch.zeros(1, 3, 1, 1, dtype=torch.uint8)).flatten()
    assert black.tolist() == pytest.approx([-0.5071 / 0.2009, -0.4866 / 0.1984, -0.4409 / 0.2023])


def test_grey_images_are_standardised_by_the_mean_of_the_constants(images):
    grey = images[:, :1]
    black = Standardise(grey, load_recipe("paper"))(torch.zeros(1, 1, 1, 1, dtype=torch.uint8))
    assert black.item() == pytest.approx(-(0.5071 + 0.4866 + 0.4409) / (0.2009 + 0.1984 + 0.2023), rel=1e-5)


def test_without_augmentation_pixels_pass_through(images):
    result, draws = augment(images)
    assert draws == {}
    torch.testing.assert_close(result, images.float())


@pytest.mark.parametrize("settings", [{"crop": "none"}, {"crop": "shift", "crop_shift": 0.0}])
def test_a_flip_mirrors_the_images_that_were_drawn(images, settings):
    result, draws = augment(images, flip=0.5, **settings)
    assert 15 < draws["flip"].sum() < 50
    expected = torch.where(draws["flip"][:, None, None, None], images.flip(3), images).float()
    torch.testing.assert_close(result, expected)


def test_every_image_has_its_own_draw_and_parts_are_augmented_alike(images):
    settings = {"crop": "resized", "flip": 0.5, "brightness": 0.3, "erase": 0.25, "policy": "autoaugment-cifar10"}
    same = images[:1].expand(64, -1, -1, -1)
    whole, draws = augment(same, **settings)
    assert len({tuple(each.flatten().tolist()) for each in whole}) == 64
    recipe = load_recipe("fast").with_settings(**{**PLAIN, **settings})
    augmentation = Augmentation(recipe, Standardise(same, recipe), side=16)
    part = augmentation.apply(same[8:24], {name: t[8:24] for name, t in draws.items()}, 16)
    torch.testing.assert_close(part, whole[8:24])


@pytest.mark.parametrize("size", [8, 16, 24])
@pytest.mark.parametrize("crop", ["none", "shift", "resized"])
@pytest.mark.parametrize("rotate", [0.0, 20.0])
def test_the_result_has_the_training_resolution(images, size, crop, rotate):
    result, _ = augment(images, size=size, crop=crop, rotate=rotate)
    assert result.shape == (64, 3, size, size)
    assert result.min() >= -1e-3
    assert result.max() <= 255.001


def test_a_turn_without_an_angle_changes_nothing_and_a_quarter_turn_is_one(images):
    recipe = load_recipe("fast").with_settings(**PLAIN, rotate=90.0)
    augmentation = Augmentation(recipe, Standardise(images, recipe), side=16)
    still = augmentation.apply(images, {"turn": torch.zeros(64, 3)}, 16)
    torch.testing.assert_close(still, images.float(), atol=1e-3, rtol=0)
    quarter = augmentation.apply(images, {"turn": torch.tensor([[1.0, 0.0, 0.0]]).expand(64, 3)}, 16)
    torch.testing.assert_close(quarter, images.float().rot90(1, (2, 3)), atol=0.05, rtol=0)


def test_the_affine_path_crops_and_flips_like_the_separable_one(images):
    settings = {"crop": "resized", "crop_scale": [0.3, 0.3], "flip": 1.0}
    separable, draws = augment(images, size=8, **settings)
    recipe = load_recipe("fast").with_settings(**{**PLAIN, **settings}, shear=1.0)
    augmentation = Augmentation(recipe, Standardise(images, recipe), side=16)
    affine = augmentation.apply(images, {**draws, "turn": torch.zeros(64, 3)}, 8)
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    # Boxes are 8 to 10 pixels wide: the antialiasing of the separable path hardly blurs.
    assert (separable[inner] - affine[inner]).abs().mean() < 12
    assert (separable[inner] - affine.flip(3)[inner]).abs().mean() > 40


def test_colours_change_as_torchvisions_do(images):
    recipe = load_recipe("fast").with_settings(**PLAIN, brightness=0.2, contrast=0.2, saturation=0.2)
    augmentation = Augmentation(recipe, Standardise(images, recipe), side=16)
    # Mid-tones, so that torchvision's clamping to 0..255 does not come into play.
    middle = (images // 4 + 96).to(torch.uint8)
    for axis, change in enumerate(
        (reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation)
    ):
        colour = torch.zeros(64, 3)
        colour[:, axis] = 0.5
        result = augmentation.apply(middle, {"colour": colour}, 16)
        expected = change(middle.float() / 255, 1.1) * 255
        torch.testing.assert_close(result, expected, atol=0.6, rtol=0)


def test_a_blanked_square_holds_the_mean_colour(images):
    result, _ = augment(images, mean=[0.5] * 3, std=[0.25] * 3, erase=0.5)
    blank = (result == 0).all(dim=1).sum(dim=(1, 2))
    assert blank.max() == 64
    assert blank.min() >= 9


def test_images_are_transformed_in_groups_as_they_are_one_by_one():
    images = torch.randint(0, 256, (200, 3, 12, 12), dtype=torch.uint8, generator=generator(2))
    batched = BatchedAutoAugment()
    draws = batched.draw(200, generator=generator(3), device=CPU)
    together = batched.apply(images, draws["variant"])
    alone = torch.cat([batched.apply(images[i : i + 1], draws["variant"][i : i + 1]) for i in range(200)])
    assert torch.equal(together, alone)
    assert together.dtype == torch.uint8
    changed = (together != images).flatten(1).any(dim=1).float().mean()
    assert 0.5 < changed < 0.99


def test_operations_are_torchvisions(images):
    batched = BatchedAutoAugment()
    expected = {
        "Rotate": lambda each: reference.rotate(each, 20 / 3),
        "Color": lambda each: reference.adjust_saturation(each, 1.3),
        "Solarize": lambda each: reference.solarize(each, 255 * 7 / 9),
        "Equalize": reference.equalize,
        "Invert": reference.invert,
    }
    for name, transform in expected.items():
        variants = batched._variants[0][1]
        index = next(i for i, (other, _) in enumerate(variants) if other == name)
        variant = torch.tensor([[index, -1]]).expand(len(images), 2)
        torch.testing.assert_close(batched.apply(images, variant), transform(images), atol=1, rtol=0)


def test_operations_are_drawn_as_often_and_as_strongly_as_the_policy_says():
    batched = BatchedAutoAugment()
    n = 20_000
    variant = batched.draw(n, generator=generator(4), device=CPU)["variant"]
    policies = AutoAugment(AutoAugmentPolicy.CIFAR10)._get_policies(AutoAugmentPolicy.CIFAR10)
    for place in (0, 1):
        expected = sum(pair[place][1] for pair in policies) / len(policies)
        assert (variant[:, place] >= 0).float().mean() == pytest.approx(expected, abs=0.015)
    names = [name for name, _ in batched._variants[0][1]]
    turned = [index for index, name in enumerate(names) if name == "Rotate"]
    magnitudes = sorted(batched._variants[0][1][index][1](32, 32) for index in turned)
    assert magnitudes == pytest.approx([-20 / 3, 20 / 3])
    shares = [(variant[:, 0] == index).float().mean().item() for index in turned]
    assert shares == pytest.approx([0.7 / 25 / 2] * 2, abs=0.004)


def test_grey_images_can_be_auto_augmented():
    images = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8, generator=generator())
    batched = BatchedAutoAugment()
    variant = batched.draw(50, generator=generator(), device=CPU)["variant"]
    assert batched.apply(images, variant).shape == images.shape


@pytest.mark.parametrize("crop", ["none", "shift", "resized"])
def test_nothing_is_brought_to_the_device_while_batches_are_made(colour_digits, monkeypatch, crop):
    """On a GPU that waits, and cannot be recorded in a graph."""
    recipe = load_recipe("fast").with_settings(
        crop=crop, rotate=10.0, shear=5.0, brightness=0.2, contrast=0.2, saturation=0.2, erase=0.3
    )
    images = colour_digits.train.images[:20]
    augmentation = Augmentation(recipe, Standardise(images, recipe), side=8)

    def brought(*_, **__):
        raise AssertionError("a tensor was made of numbers on the processor")

    for name in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, brought)
    draws = augmentation.draw(20, generator=torch.Generator())
    assert augmentation.apply(images, draws, 8).shape == (20, 3, 8, 8)
