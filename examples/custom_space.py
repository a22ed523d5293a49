"""A search space of one's own: ResNet-like families, described by six real numbers.

Four of ResNet's habits as parameters: stages that halve the image, the same number of residual blocks in each, wider
stages as the image gets smaller, and a bottleneck inside each block (He et al. 2016, section 3.3). Whole numbers such
as the blocks of a stage are rounded from real ones, since the search only knows real parameters.

    betanas describe examples/custom_space.py
    betanas search --data digits --space examples/custom_space.py --study runs/residual --budget 6s --trials 12
"""

from collections.abc import Mapping
from typing import ClassVar

from betanas import Blueprint, Layer, Range, SearchSpace, register_space
from betanas.spaces.base import check_input


@register_space
class Residual(SearchSpace):
    """Stages of residual blocks behind a 3x3 stem.

    Parameters: `stem` (channels of the stem), `stages` (each but the first halves the image), `blocks` (in each
    stage), `growth` (factor of the width from one stage to the next), `bottleneck` (hidden width of a block over its
    input's) and `latent` (channels before the pooling, over the last stage's).
    """

    name: ClassVar[str] = "residual"
    domain: ClassVar[Mapping[str, Range]] = {
        "stem": Range(4.0, 256.0),
        "stages": Range(1.0, 6.99),
        "blocks": Range(1.0, 12.99),
        "growth": Range(1.0, 4.0),
        "bottleneck": Range(0.25, 8.0),
        "latent": Range(0.5, 8.0),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Range]]] = {
        "default": {
            "stem": Range(8.0, 64.0),
            "stages": Range(2.0, 4.99),
            "blocks": Range(1.0, 4.99),
            "growth": Range(1.2, 2.5),
            "bottleneck": Range(0.5, 4.0),
            "latent": Range(1.0, 4.0),
        }
    }

    def blueprint(
        self, vector: Mapping[str, float], *, resolution: int, num_classes: int, in_channels: int = 3
    ) -> Blueprint:
        """The network that a vector describes; a larger resolution has larger maps and the same layers."""
        resolution, num_classes, in_channels = check_input(resolution, num_classes, in_channels)
        v = self.check(vector)
        width = int(v["stem"])
        side = resolution
        layers = [_layer("CNA", in_channels, width, side=side)]
        for stage in range(int(v["stages"])):
            before, width = width, int(v["stem"] * v["growth"] ** stage)
            for block in range(int(v["blocks"])):
                halves = stage > 0 and block == 0 and side > 1
                side = -(-side // 2) if halves else side
                layers.append(
                    _layer(
                        "FMBC",
                        before if block == 0 else width,
                        width,
                        side=side,
                        stride=2 if halves else 1,
                        bottleneck=v["bottleneck"],
                    )
                )
        return Blueprint(
            resolution=resolution,
            in_channels=in_channels,
            num_classes=num_classes,
            layers=tuple(layers),
            latent=int(v["latent"] * width),
        )


def _layer(kind: str, before: int, after: int, *, side: int, stride: int = 1, bottleneck: float = 1.0) -> Layer:
    """A layer without squeeze-excitation and stochastic depth."""
    return Layer(
        kind=kind,
        in_channels=before,
        out_channels=after,
        stride=stride,
        hidden=max(1, int(before * bottleneck)) if kind == "FMBC" else 0,
        squeeze=0,
        expansion=bottleneck,
        se_ratio=1.0,
        drop_path=0.0,
        resolution=side,
    )
