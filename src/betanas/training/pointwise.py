"""1x1 convolutions as matrix products of maps whose channels are innermost: a GPU plans nothing for those."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution with stride 1, the same parameters and results as `nn.Conv2d`, computed as a matrix product."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - nn.Conv2d's
        # Views alone where the channels are innermost: neither permutation moves anything.
        return functional.linear(input.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def use_products(network: nn.Module) -> None:
    """Have a network compute its 1x1 convolutions as matrix products; its weights and their names stay as they are."""
    for module in network.modules():
        # A subclass may compute something else.
        if type(module) is nn.Conv2d and _is_pointwise(module):
            module.__class__ = PointwiseConv2d


def _is_pointwise(module: nn.Conv2d) -> bool:
    plain = module.stride == (1, 1) and module.padding in ((0, 0), "valid") and module.groups == 1
    return module.kernel_size == (1, 1) and plain
