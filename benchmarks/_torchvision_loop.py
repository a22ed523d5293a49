"""The plain loop that `fast` is measured against: torchvision on PIL images in a DataLoader, fp32, NCHW."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from betanas.data.images import ImageSet


class PillowImages(Dataset[tuple[Tensor, int]]):
    """Images as PIL objects, augmented one at a time as the report's recipe (Table 2) says."""

    def __init__(self, images: ImageSet, *, resolution: int) -> None:
        self.images = [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in images.images]
        self.labels = images.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10),
                transforms.RandomHorizontalFlip(),
                transforms.RandomResizedCrop(resolution),
                transforms.ToTensor(),
                transforms.Normalize((0.5071, 0.4866, 0.4409), (0.2009, 0.1984, 0.2023)),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def torchvision_step_seconds(
    network: nn.Module,
    images: ImageSet,
    *,
    resolution: int,
    batch_size: int,
    device: torch.device,
    workers: int,
    steps: int,
) -> float:
    """Seconds of a training step with its data work, after a few steps of warm-up.

    Args:
        network: to train.
        images: to train on.
        resolution: side of the network's input, in pixels.
        batch_size: images a step.
        device: to train on.
        workers: of the DataLoader; 0 decodes in the training process.
        steps: to measure.
    """
    loader = DataLoader(
        PillowImages(images, resolution=resolution),
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = _endless(loader)
    started = 0.0
    for step in range(steps + 3):
        if step == 3:
            _wait(device)
            started = time.perf_counter()
        inputs, labels = (each.to(device, non_blocking=True) for each in next(batches))
        loss = nn.functional.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _wait(device)
    return (time.perf_counter() - started) / steps


def _endless(loader: DataLoader[tuple[Tensor, int]]) -> Iterator[list[Tensor]]:
    while True:
        yield from loader


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
