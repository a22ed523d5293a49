"""A small made-up pretrained network, under timm's names; the real one, where its package is installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from betanas.blueprint import Blueprint, Layer
from betanas.pretrained.seed import SeedNetwork, seed_network
from betanas.pretrained.wheels import installed_wheels

# Of EfficientNet's stages, with fewer channels: blocks, kernel, channels; the stem has eight, the latent layer 40.
STAGES = ((1, 3, 6), (2, 3, 8), (2, 5, 10), (3, 3, 12), (2, 5, 14), (2, 5, 16), (1, 3, 18))
STRIDES = (1, 2, 2, 2, 1, 2, 1)
STEM, LATENT = 8, 40


@pytest.fixture(scope="session")
def made_weights() -> dict[str, torch.Tensor]:
    """A state dict like that of timm's lite networks, of random tensors that are like trained ones in size."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, torch.Tensor] = {}

    def conv(name: str, norm: str, gives: int, takes: int, kernel: int) -> None:
        weight = torch.randn(gives, takes, kernel, kernel, generator=generator)
        found[f"{name}.weight"] = weight / (takes * kernel**2) ** 0.5
        found[f"{norm}.weight"] = 0.5 + torch.rand(gives, generator=generator)
        found[f"{norm}.bias"] = torch.randn(gives, generator=generator)
        found[f"{norm}.running_mean"] = torch.randn(gives, generator=generator)
        found[f"{norm}.running_var"] = 0.5 + torch.rand(gives, generator=generator)
        found[f"{norm}.num_batches_tracked"] = torch.tensor(0)

    conv("conv_stem", "bn1", STEM, 3, 3)
    before = STEM
    for stage, (blocks, kernel, channels) in enumerate(STAGES):
        for number in range(blocks):
            place, hidden = f"blocks.{stage}.{number}", before * (6 if stage else 1)
            if stage:
                conv(f"{place}.conv_pw", f"{place}.bn1", hidden, before, 1)
                conv(f"{place}.conv_dw", f"{place}.bn2", hidden, 1, kernel)
                conv(f"{place}.conv_pwl", f"{place}.bn3", channels, hidden, 1)
            else:
                conv(f"{place}.conv_dw", f"{place}.bn1", hidden, 1, kernel)
                conv(f"{place}.conv_pw", f"{place}.bn2", channels, hidden, 1)
            before = channels
    conv("conv_head", "bn2", LATENT, before, 1)
    found["classifier.weight"] = torch.randn(10, LATENT, generator=generator)
    found["classifier.bias"] = torch.zeros(10)
    return found


@pytest.fixture(scope="session")
def own_blueprint() -> Callable[..., Blueprint]:
    """Makes a seed's own network, or one like it; see `_own_blueprint`."""
    return _own_blueprint


def _own_blueprint(seed: SeedNetwork, *, resolution: int = 32, wider: int = 1, fused: bool = False) -> Blueprint:
    """A seed's network as a blueprint; its first stage has an expansion that changes nothing.

    Args:
        seed: whose layers it has.
        resolution: side of the image.
        wider: what its channels are multiplied by.
        fused: whether its blocks are Fused-MBConv.
    """
    side, before, layers = -(-resolution // 2), wider * seed.shape.widths[0], []
    layers.append(Layer("CNA", 3, before, 2, 0, 0, 1.0, 1.0, 0.0, side, "ReLU6"))
    for block in seed.shape.blocks:
        side = -(-side // block.stride)
        after = wider * seed.shape.widths[block.gives]
        kind = "FMBC" if fused else "MBC5" if block.kernel == 5 else "MBC"
        hidden = wider * block.hidden
        layers.append(Layer(kind, before, after, block.stride, hidden, 0, 1.0, 1.0, 0.0, side, "ReLU6"))
        before = after
    return Blueprint(resolution, 3, 10, tuple(layers), wider * len(seed.head.norm.weight))


@pytest.fixture(scope="session")
def made_seed(made_weights: dict[str, torch.Tensor]) -> SeedNetwork:
    """The small one."""
    return SeedNetwork.of(made_weights)


@pytest.fixture(scope="session")
def real_seed() -> SeedNetwork:
    """EfficientNet-lite0's ImageNet weights."""
    if "tf_efficientnet_lite0" not in installed_wheels():
        pytest.skip("the extra pretrained is not installed")
    return seed_network("tf_efficientnet_lite0")


@pytest.fixture(params=["made", "real"])
def seed(request: pytest.FixtureRequest) -> SeedNetwork:
    """Both."""
    found: SeedNetwork = request.getfixturevalue(f"{request.param}_seed")
    return found
