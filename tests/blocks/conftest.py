"""Networks of every form that a layer can have."""

from __future__ import annotations

from itertools import pairwise

import pytest

from betanas.blocks import KINDS, kind_named
from betanas.blueprint import Blueprint, Layer, contracted


def network_of(
    kind: str, activation: str = "SiLU", *, pooled: bool = False, squeeze: int = 3, latent: int = 24
) -> Blueprint:
    """A stem and five layers of one kind: with and without a residual, strided or pooled, on an odd side as well."""
    layers, side = [], 22
    for place, (before, after) in enumerate(pairwise((3, 8, 8, 12, 12, 16, 16))):
        block = kind_named(kind if place else "CNA")
        halves = place in (0, 2, 4)
        side = contracted(side) if halves else side
        layers.append(
            Layer(
                kind=block.name,
                in_channels=before,
                out_channels=after,
                stride=2 if halves else 1,
                hidden=18 if block.has_hidden else 0,
                squeeze=squeeze if block.has_squeeze else 0,
                expansion=2.0,
                se_ratio=6.0,
                drop_path=0.1 if block.has_residual and before == after and not halves else 0.0,
                resolution=side,
                activation=activation,
                pooled=pooled and halves,
            )
        )
    return Blueprint(22, 3, 10, tuple(layers), latent)


NETWORKS = {
    f"{kind.name} {activation}{' pooled' if pooled else ''}": network_of(kind.name, activation, pooled=pooled)
    for kind in KINDS
    for activation in ("SiLU", "ReLU")
    for pooled in (False, True)
}
NETWORKS |= {
    "MBC ReLU6": network_of("MBC", "ReLU6"),
    "MBC5 Hardswish pooled": network_of("MBC5", "Hardswish", pooled=True),
    "MBC without squeeze-excitation": network_of("MBC", "ReLU6", squeeze=0),
    "MBC5 without squeeze-excitation, pooled": network_of("MBC5", "ReLU", squeeze=0, pooled=True),
    "MBC without latent channels": network_of("MBC", latent=0),
    "CNA without latent channels": network_of("CNA", "ReLU", latent=0),
    "CNA without latent channels, pooled": network_of("CNA", "ReLU", latent=0, pooled=True),
    "FMBC without latent channels": network_of("FMBC", "ReLU", latent=0),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Blueprint:
    """One of them."""
    return NETWORKS[request.param]


@pytest.fixture(scope="session")
def networks() -> dict[str, Blueprint]:
    """All of them, by name."""
    return NETWORKS
