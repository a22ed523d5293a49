"""Which block of a pretrained network each layer of another network starts from: the cheapest monotone assignment.

Depth is fitted as in FNA (Fang et al., arXiv 2001.02525): layers beyond a stage's blocks repeat them, blocks beyond the
layers are left out. The networks of a search space have other stages than the seed, so what is kept of it is weighed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any, NamedTuple

from betanas.blocks import ConvNorm
from betanas.blueprint import Blueprint, Layer

# What a step costs, in parts of a block that is lost. A broken step is one whose block reads channels that mean
# something else than those before it; a layer without a residual that takes a block with one loses what it adds to.
_BROKEN, _LOST_SUM, _IDLE = 1.0, 0.7, 0.6
_MISSING_STAGE, _LEFT_OUT, _REPEATED = 0.25, 0.03, 0.1
_OTHER_STRIDE, _CROPPED, _SPARE_WIDTH, _PRUNED_HIDDEN = 0.1, 0.15, 0.1, 0.5

_STEM = -1


@dataclass(frozen=True, slots=True)
class BlockShape:
    """A block of the seed, in numbers.

    Attributes:
        takes, gives: the bases of its input and output.
        hidden: channels after the expansion.
        kernel: side of the depthwise kernel.
        stride: of the depthwise convolution.
    """

    takes: int
    gives: int
    hidden: int
    kernel: int
    stride: int

    @property
    def keeps(self) -> bool:
        """Whether its output is added to its input, so that both are of one basis."""
        return self.takes == self.gives


@dataclass(frozen=True, slots=True)
class SeedShape:
    """A seed network, in numbers.

    Attributes:
        widths: channels of each basis; that of the stem is the first.
        blocks: in order.
    """

    widths: tuple[int, ...]
    blocks: tuple[BlockShape, ...]


class _State(NamedTuple):
    """Where an assignment stands: the last block taken, and the first basis of the maps that are added up now."""

    block: int
    first: int


# The last step of an assignment, and the steps before it.
_Path = tuple[int | None, Any]


def align(blueprint: Blueprint, seed: SeedShape) -> tuple[int | None, ...]:
    """The seed's block for each layer after the first, which starts from the seed's stem.

    Returns:
        Positions in `seed.blocks`, never falling; None for a layer that starts as the identity.
    """
    reached: dict[_State, tuple[float, _Path | None]] = {_State(_STEM, 0): (0.0, None)}
    for layer in blueprint.layers[1:]:
        losses = [_mismatch(layer, block) for block in seed.blocks]
        following: dict[_State, tuple[float, _Path | None]] = {}
        for state, (cost, path) in reached.items():
            for step, after, added in _steps(layer, losses, state, seed):
                total = cost + added
                if after not in following or total < following[after][0]:
                    following[after] = total, (step, path)
        reached = following
    ends = ((cost + _end(state, seed, latent=blueprint.latent > 0), path) for state, (cost, path) in reached.items())
    _, path = min(ends, key=lambda each: each[0])
    steps = []
    while path is not None:
        step, path = path
        steps.append(step)
    return tuple(reversed(steps))


def _steps(
    layer: Layer, losses: Sequence[float], state: _State, seed: SeedShape
) -> Iterator[tuple[int | None, _State, float]]:
    """What a layer may start from, where that leads, and what it costs."""
    if layer.residual:
        yield None, state, _IDLE
    basis = _basis(state, seed)
    skipped = 0
    for index in range(max(state.block, 0), len(seed.blocks)):
        block = seed.blocks[index]
        repeats = index == state.block
        if repeats and not block.keeps:
            continue
        first = state.first if layer.residual else block.gives
        cost = losses[index] + _LEFT_OUT * skipped + _REPEATED * repeats + _BROKEN * (block.takes != basis)
        cost += _pruned(layer.out_channels, sum(seed.widths[first : block.gives + 1]))
        yield index, _State(index, first), cost
        skipped += not repeats


def _basis(state: _State, seed: SeedShape) -> int:
    return 0 if state.block == _STEM else seed.blocks[state.block].gives


def _mismatch(layer: Layer, block: BlockShape) -> float:
    """What a layer loses of a block, its channels aside."""
    convs = [step for step in layer.block.steps(layer, False) if isinstance(step, ConvNorm)]
    kernel, bottleneck = max(step.kernel for step in convs), len(convs) > 1
    cost = _CROPPED * (kernel < block.kernel) + _OTHER_STRIDE * (layer.stride != block.stride)
    if bottleneck:
        cost += _PRUNED_HIDDEN * max(0.0, 1.0 - layer.hidden / block.hidden)
        cost += _LOST_SUM * (block.keeps and not layer.residual)
    return cost


def _pruned(width: int, needed: int) -> float:
    """What is lost of the channels that a map has to hold."""
    return 1.0 - width / needed if width < needed else _SPARE_WIDTH * log2(width / needed)


def _end(state: _State, seed: SeedShape, *, latent: bool) -> float:
    missing = len(seed.widths) - 1 - _basis(state, seed)
    return _MISSING_STAGE * missing + _BROKEN * (latent and missing > 0)
