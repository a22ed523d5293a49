"""Channels of a feature map as channels of a pretrained network: which each stands for, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Seeds the shares of channels that stand for the same one.
_SHARES = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Channels taken from a list of channels, some perhaps more than once.

    Attributes:
        index: into the list, shape [channels].
        share: of each in what the channel does, shape [channels]; those of equal channels add up to one.
    """

    index: Tensor
    share: Tensor


def choose(count: int, importance: Tensor) -> Chosen:
    """A number of channels: the most important ones in their order, or all of them, the most important ones again.

    Channels that stand for the same one have unequal shares, or they would learn the same for ever.
    """
    ranked = _ranked(importance)
    there = len(ranked)
    if count <= there:
        return Chosen(ranked[:count].sort().values, torch.ones(count))
    index = torch.cat([torch.arange(there), ranked[torch.arange(count - there) % there]])
    weight = 0.5 + torch.rand(count, generator=torch.Generator().manual_seed(_SHARES))
    total = torch.zeros(there).index_add(0, index, weight)
    return Chosen(index, weight / total[index])


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of a feature map.

    Attributes:
        basis: of the pretrained network, for each channel; shape [channels].
        chosen: the channel of that basis, and its share.
        newest: the basis that was written last.
    """

    basis: Tensor
    chosen: Chosen
    newest: int

    @classmethod
    def hold(cls, width: int, bases: Sequence[int], importance: Sequence[Tensor]) -> Channels:
        """Room for several bases in a feature map, in proportion where there is not enough for all.

        Args:
            width: channels of the map.
            bases: what it has to hold, in the order in which they are written.
            importance: of the channels of every basis.
        """
        sizes = _divided(width, [len(importance[basis]) for basis in bases])
        parts = [choose(size, importance[basis]) for size, basis in zip(sizes, bases, strict=True)]
        return cls(
            torch.cat([torch.full((size,), basis) for size, basis in zip(sizes, bases, strict=True)]),
            Chosen(torch.cat([part.index for part in parts]), torch.cat([part.share for part in parts])),
            newest=bases[0],
        )

    def of(self, basis: int) -> tuple[Tensor, Tensor]:
        """Which channels stand for those of a basis, shape [channels], and for which; 0 for the others."""
        mine = self.basis == basis
        return mine, torch.where(mine, self.chosen.index, 0)

    def read(self, weight: Tensor, basis: int, importance: Sequence[Tensor]) -> Tensor:
        """What reads a basis, as it reads this map.

        Where the map does not hold the basis, channels of its newest one stand for those of the same rank.

        Args:
            weight: [gives, channels of the basis, ...].
            basis: that the weight reads.
            importance: of the channels of every basis.

        Returns:
            [gives, channels of the map, ...]
        """
        source = basis if bool((self.basis == basis).any()) else self.newest
        mine, index = self.of(source)
        share = self.chosen.share * mine
        if source != basis:
            rank = torch.empty(len(importance[source]), dtype=torch.int64)
            rank[_ranked(importance[source])] = torch.arange(len(rank))
            order = _ranked(importance[basis])
            share = share * (rank[index] < len(order))
            index = order[rank[index].clamp_max(len(order) - 1)]
        return weight[:, index] * share.view(1, -1, *[1] * (weight.ndim - 2))


def _ranked(importance: Tensor) -> Tensor:
    return torch.argsort(importance, descending=True, stable=True)


def _divided(width: int, needed: Sequence[int]) -> list[int]:
    """Room for each of several needs: all of it and the rest to the last, or parts in proportion."""
    total = sum(needed)
    if total <= width:
        return [*needed[:-1], needed[-1] + width - total]
    ends = [width * sum(needed[: place + 1]) // total for place in range(len(needed))]
    return [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
