"""Augmentation of whole batches on the device, every image by its own random numbers.

What is random is drawn first (`draw`: a few numbers an image), then applied (`apply`: a handful of kernels a
batch). So several processes can draw the same numbers for a batch that they share, and each apply its part.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from betanas.data.statistics import channel_statistics
from betanas.training.autoaugment import BatchedAutoAugment
from betanas.training.recipe import Recipe
from betanas.training.resample import axis_weights, resample, resize, resized_boxes

Draws = dict[str, Tensor]

# Rec. 601 luma: what saturation and contrast call grey, as in torchvision.
_LUMA = (0.299, 0.587, 0.114)


class Standardise:
    """Turns pixel values 0..255 into standardised floats: (x / 255 - mean) / std, in one multiply-add.

    Args:
        images: what the mean and deviation are measured on where the recipe gives none; uint8, [n, channels,
            h, w].
        recipe: its `mean` and `std` count where they fit; for other numbers of channels their means do.
        device: where the images to standardise will be; None for that of `images`.
    """

    def __init__(self, images: Tensor, recipe: Recipe, *, device: torch.device | None = None) -> None:
        channels = images.shape[1]
        if recipe.mean is not None and recipe.std is not None:
            mean, std = torch.tensor(recipe.mean), torch.tensor(recipe.std)
            if len(mean) != channels:
                mean, std = mean.mean().expand(channels), std.mean().expand(channels)
        else:
            found = channel_statistics(images)
            mean, std = torch.tensor(found.mean), torch.tensor(found.std)
        self.scale = (1 / (255 * std)).to(device or images.device)
        self.offset = (-mean / std).to(device or images.device)

    def __call__(self, images: Tensor) -> Tensor:
        """Standardise images of shape [n, channels, h, w]."""
        return torch.addcmul(self.offset[:, None, None], images.float(), self.scale[:, None, None])


class Augmentation:
    """A recipe's augmentation, from stored uint8 images to standardised floats at the training resolution.

    Args:
        recipe: what to do.
        standardise: the last step; folded into the colour matrix where there is one.
        side: of the stored images.
    """

    def __init__(self, recipe: Recipe, standardise: Standardise, *, side: int) -> None:
        self.recipe = recipe
        self.standardise = standardise
        self.side = side
        self._policy = BatchedAutoAugment() if recipe.policy == "autoaugment-cifar10" else None
        self._turns = recipe.rotate > 0 or recipe.shear > 0
        self._colours = max(recipe.brightness, recipe.contrast, recipe.saturation) > 0
        # Made once: to bring a number to a GPU is to wait for it, which a recorded step must not.
        channels, device = len(standardise.scale), standardise.scale.device
        shear = math.tan(math.radians(recipe.shear))
        self._turn_limits = torch.tensor([math.radians(recipe.rotate), shear, shear], device=device)
        self._whole = torch.tensor([[0.0, 0.0, side, side]], device=device)
        self._luma = torch.tensor(_LUMA if channels == 3 else (1 / channels,) * channels, device=device)

    @property
    def asks_the_device(self) -> bool:
        """Whether what it does next depends on numbers drawn on the device, so that it waits for them."""
        return self._policy is not None

    def draw(self, n: int, *, generator: torch.Generator) -> Draws:
        """Draw what is random for n images. Every tensor's first axis is the image's."""
        recipe, device = self.recipe, generator.device
        draws: Draws = {}

        def uniform(*shape: int) -> Tensor:
            return torch.rand(n, *shape, generator=generator, device=device)

        if self._policy is not None:
            draws.update(self._policy.draw(n, generator=generator, device=device))
        if recipe.crop == "resized":
            draws["box"] = resized_boxes(
                n,
                side=self.side,
                scale=recipe.crop_scale,
                ratio=recipe.crop_ratio,
                generator=generator,
                device=device,
            )
        elif recipe.crop == "shift":
            most = round(recipe.crop_shift * self.side)
            corner = torch.randint(-most, most + 1, (n, 2), generator=generator, device=device)
            draws["box"] = functional.pad(corner.float(), (0, 2), value=float(self.side))
        if recipe.flip > 0:
            draws["flip"] = uniform() < recipe.flip
        if self._turns:
            draws["turn"] = uniform(3) * 2 - 1
        if self._colours:
            draws["colour"] = uniform(3) * 2 - 1
        if recipe.erase > 0:
            draws["erase"] = uniform(2)
        return draws

    def apply(self, images: Tensor, draws: Draws, size: int) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8, shape [n, channels, side, side].
            draws: from `draw`, for these n images.
            size: output side in pixels.

        Returns:
            Standardised floats, shape [n, channels, size, size].
        """
        if self._policy is not None:
            images = self._policy.apply(images, draws["variant"])
        floats = self._geometry(images.float(), draws, size)
        floats = self._colour(floats, draws["colour"]) if self._colours else self.standardise(floats)
        return _erase(floats, draws["erase"], self.recipe.erase) if self.recipe.erase > 0 else floats

    def _geometry(self, images: Tensor, draws: Draws, size: int) -> Tensor:
        flip = draws.get("flip")
        if self._turns:
            return self._affine(images, draws, size)
        if "box" not in draws:
            whole = resize(images, size)
            return whole if flip is None else torch.where(flip[:, None, None, None], whole.flip(3), whole)
        top, left, height, width = draws["box"].unbind(1)
        reflect = self.recipe.crop == "shift"
        rows = axis_weights(top, height, source=self.side, size=size, reflect=reflect)
        columns = axis_weights(left, width, source=self.side, size=size, reflect=reflect)
        return resample(images, rows, columns, flip)

    def _affine(self, images: Tensor, draws: Draws, size: int) -> Tensor:
        """Crop, flip, rotation and shear as one matrix an image, sampled bilinearly in one kernel."""
        n, device = len(images), images.device
        box = draws.get("box", self._whole.expand(n, 4))
        top, left, height, width = box.unbind(1)
        angle, shear_x, shear_y = (draws["turn"] * self._turn_limits).unbind(1)
        mirror = torch.ones(n, device=device)
        if "flip" in draws:
            mirror = torch.where(draws["flip"], -mirror, mirror)
        cos, sin = angle.cos(), angle.sin()
        turn = torch.stack([cos - sin * shear_y, cos * shear_x - sin, sin + cos * shear_y, sin * shear_x + cos], dim=1)
        zoom = torch.stack([mirror * width / self.side, height / self.side], dim=1)
        # Coordinates run from -1 to 1 over the image: the box's centre is the shift, its extent the zoom.
        shift = torch.stack([(2 * left + width) / self.side - 1, (2 * top + height) / self.side - 1], dim=1)
        matrix = torch.cat([turn.view(n, 2, 2) * zoom[:, None, :], shift[:, :, None]], dim=2)
        grid = functional.affine_grid(matrix, [n, images.shape[1], size, size], align_corners=False)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    def _colour(self, images: Tensor, colour: Tensor) -> Tensor:
        """Brightness, contrast, saturation and standardisation as one affine map of the channels."""
        channels = images.shape[1]
        recipe, device = self.recipe, images.device
        brightness = 1 + recipe.brightness * colour[:, 0, None, None]
        contrast = 1 + recipe.contrast * colour[:, 1, None, None]
        saturation = 1 + recipe.saturation * colour[:, 2, None, None]
        identity = torch.eye(channels, device=device)
        luma = self._luma
        grey = luma.expand(channels, channels)
        mixing = brightness * (saturation * identity + (1 - saturation) * grey)
        level = (mixing @ images.mean(dim=(2, 3))[:, :, None] * luma[:, None]).sum(dim=1, keepdim=True)
        matrix = contrast * mixing * self.standardise.scale[:, None]
        offset = (1 - contrast) * level * self.standardise.scale[:, None] + self.standardise.offset[:, None]
        return torch.baddbmm(offset, matrix, images.flatten(2)).view_as(images)


def _erase(images: Tensor, corner: Tensor, share: float) -> Tensor:
    """Blank one square an image with the mean colour (zero, after standardisation)."""
    size = images.shape[-1]
    extent = max(1, round(share * size))
    start = (corner * (size + 1)).floor() - extent // 2
    pixels = torch.arange(size, device=images.device)
    hit = (pixels >= start[..., None]) & (pixels < start[..., None] + extent)
    return images.masked_fill((hit[:, 0, :, None] & hit[:, 1, None, :])[:, None], 0.0)
