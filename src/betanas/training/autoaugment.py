"""AutoAugment for a batch: a policy for every image, applied to groups of images that share an operation.

torchvision's transform draws one policy a call. Here each image has its own: at each of the policy's two
places the images are grouped by operation and magnitude, and torchvision's own kernels transform each group
in one go.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import AutoAugmentPolicy
from torchvision.transforms.v2 import AutoAugment, InterpolationMode

# A policy's names for operations, probabilities and magnitudes: ("Rotate", 0.7, 2).
Operation = tuple[str, float, int | None]


class BatchedAutoAugment:
    """AutoAugment (Cubuk et al., 2019) with torchvision's policies and kernels and per-image draws.

    Args:
        policy: which of torchvision's policies.
    """

    def __init__(self, policy: AutoAugmentPolicy = AutoAugmentPolicy.CIFAR10) -> None:
        self._transform = AutoAugment(policy)
        policies: list[tuple[Operation, Operation]] = self._transform._get_policies(policy)
        self._policies = policies
        self._variants = [self._variants_at(place) for place in (0, 1)]

    def draw(self, n: int, *, generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
        """What decides each image's operations: `variant`, int64, shape [n, 2]; -1 leaves the image alone."""
        choice = torch.randint(len(self._policies), (n,), generator=generator, device=device)
        chance = torch.rand(n, 2, generator=generator, device=device)
        negative = torch.rand(n, 2, generator=generator, device=device) <= 0.5
        columns = []
        for place, (index_of, _) in enumerate(self._variants):
            probability = torch.tensor([pair[place][1] for pair in self._policies], device=device)[choice]
            variant = torch.tensor(index_of, device=device)[choice, negative[:, place].long()]
            columns.append(torch.where(chance[:, place] <= probability, variant, -1))
        return {"variant": torch.stack(columns, dim=1)}

    def apply(self, images: Tensor, variant: Tensor) -> Tensor:
        """Transform images (uint8, shape [n, channels, side, side]) as drawn; gives a new tensor."""
        images = images.clone()
        height, width = images.shape[-2:]
        for place, (_, operations) in enumerate(self._variants):
            # One transfer for all groups: on a GPU each `nonzero` would wait for the device.
            chosen = variant[:, place].cpu()
            for index in sorted(set(chosen.tolist()) - {-1}):
                name, magnitude_of = operations[index]
                group = (chosen == index).nonzero().squeeze(1).to(images.device)
                images[group] = self._transform._apply_image_or_video_transform(
                    images[group],
                    name,
                    magnitude_of(height, width),
                    interpolation=InterpolationMode.NEAREST,
                    fill=self._transform._fill,
                )
        return images

    def _variants_at(self, place: int) -> tuple[list[list[int]], list[tuple[str, Callable[[int, int], float]]]]:
        """Distinct (operation, signed magnitude) at one place, and which one each policy and sign means."""
        keys: list[tuple[str, int | None, bool]] = []
        index_of = []
        for pair in self._policies:
            name, _, magnitude = pair[place]
            signed = self._transform._AUGMENTATION_SPACE[name][1]
            row = []
            for negative in (False, True):
                key = (name, magnitude, negative and signed)
                if key not in keys:
                    keys.append(key)
                row.append(keys.index(key))
            index_of.append(row)
        return index_of, [(name, self._magnitude(name, level, negative)) for name, level, negative in keys]

    def _magnitude(self, name: str, level: int | None, negative: bool) -> Callable[[int, int], float]:
        magnitudes_of = self._transform._AUGMENTATION_SPACE[name][0]

        def magnitude(height: int, width: int) -> float:
            magnitudes = magnitudes_of(10, height, width)
            if magnitudes is None:
                return 0.0
            return float(magnitudes[level]) * (-1 if negative else 1)

        return magnitude
