"""A pretrained network's weights in the shape of another network.

After FNA (Fang et al., arXiv 2001.02525): channels by importance, depth by repetition, kernels centred. Beyond it, an
expansion and the depthwise convolution behind it are composed for Fused-MBConv, and the projection too for a plain
convolution; and a residual layer may take a block that changes the channels' meaning, where the map has room for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from betanas.blocks import ConvNorm
from betanas.blueprint import Blueprint, Layer
from betanas.pretrained.alignment import align
from betanas.pretrained.channels import Channels, choose
from betanas.pretrained.seed import Norm, NormedConv, SeedBlock, SeedNetwork

# Seeds the rows of channels that start at zero.
_FILLING = 0

# Correlation of neighbouring pixels, for the variance of a depthwise convolution's output: about that of feature maps.
_CORRELATION = 0.5


def remap(blueprint: Blueprint, seed: SeedNetwork) -> dict[str, Tensor]:
    """Weights of a blueprint's network, from those of a pretrained one.

    Equal arguments give equal tensors. A layer of a block's own shape gets that block's tensors as they are, as long as
    the layers before it hold all of the channels it reads.

    Returns:
        Tensors for `blueprint.build().load_state_dict(..., strict=False)`. Those of the classifier and of
        squeeze-excitations, of which the pretrained network knows nothing, are not among them.
    """
    blocks = align(blueprint, seed.shape)
    maps = _maps(blueprint, blocks, seed)
    stem, tensors = _stem(seed.stem, maps[0], blueprint), {}
    tensors.update(_named("layers.0", stem))
    for index, (layer, block, before, after) in enumerate(
        zip(blueprint.layers[1:], blocks, maps[:-1], maps[1:], strict=True), start=1
    ):
        if block is None:
            tensors[f"layers.{index}.branch.project.1.weight"] = torch.zeros(layer.out_channels)
            continue
        for name, conv in _layer(layer, seed.blocks[block], before, after, seed).items():
            tensors.update(_named(f"layers.{index}{name}", conv))
    if blueprint.latent:
        chosen = choose(blueprint.latent, seed.latent_importance)
        last = len(seed.shape.widths) - 1
        weight = maps[-1].read(seed.head.weight[chosen.index], last, seed.importance)
        tensors.update(_named("latent", NormedConv(weight, seed.head.norm.of(chosen.index))))
    return tensors


def _named(place: str, conv: NormedConv) -> dict[str, Tensor]:
    norm = conv.norm
    return {
        f"{place}.0.weight": conv.weight.contiguous(),
        f"{place}.1.weight": norm.weight,
        f"{place}.1.bias": norm.bias,
        f"{place}.1.running_mean": norm.mean,
        f"{place}.1.running_var": norm.var,
    }


def _maps(blueprint: Blueprint, blocks: Sequence[int | None], seed: SeedNetwork) -> list[Channels]:
    """What the channels of every layer's output stand for; layers that are added up share it."""
    bases = [0, *(-1 if block is None else seed.blocks[block].shape.gives for block in blocks)]
    maps: list[Channels] = []
    for index, layer in enumerate(blueprint.layers):
        if layer.residual and index:
            maps.append(maps[-1] if bases[index] < 0 else replace(maps[-1], newest=bases[index]))
            continue
        last = next((i for i in range(index + 1, len(bases)) if not blueprint.layers[i].residual), len(bases))
        held = sorted({basis for basis in bases[index:last] if basis >= 0})
        maps.append(Channels.hold(layer.out_channels, held, seed.importance))
    return maps


def _stem(stem: NormedConv, after: Channels, blueprint: Blueprint) -> NormedConv:
    """The first layer; images of another number of channels are seen as grey ones."""
    weight = stem.weight
    if blueprint.in_channels != weight.shape[1]:
        weight = (weight.sum(dim=1, keepdim=True) / blueprint.in_channels).expand(-1, blueprint.in_channels, -1, -1)
    return _written(NormedConv(weight, stem.norm), after, 0)


def _layer(
    layer: Layer, block: SeedBlock, before: Channels, after: Channels, seed: SeedNetwork
) -> Mapping[str, NormedConv]:
    """A layer's convolutions by the ends of their modules' names."""
    convs = [step for step in layer.block.steps(layer, False) if isinstance(step, ConvNorm)]
    importance, takes, gives = seed.importance, block.shape.takes, block.shape.gives
    if len(convs) == 1:
        whole = _summed(block, seed) if block.shape.keeps else _composed(block)
        read = NormedConv(before.read(_sized(whole.weight, convs[0].kernel), takes, importance), whole.norm)
        return {"": _written(read, after, gives)}
    hidden = choose(layer.hidden, _hidden_importance(block, before, after, seed))
    project = NormedConv(block.project.weight[:, hidden.index] * hidden.share[None, :, None, None], block.project.norm)
    names = [f".branch.{step.name}" for step in convs]
    written = _written(project, after, gives)
    if len(convs) == 2:
        fused = _fused(block)
        weight = before.read(_sized(fused.weight, convs[0].kernel)[hidden.index], takes, importance)
        return dict(zip(names, (NormedConv(weight, fused.norm.of(hidden.index)), written), strict=True))
    expand = NormedConv(
        before.read(block.expand.weight[hidden.index], takes, importance), block.expand.norm.of(hidden.index)
    )
    depthwise = NormedConv(
        _sized(block.depthwise.weight[hidden.index], convs[1].kernel), block.depthwise.norm.of(hidden.index)
    )
    return dict(zip(names, (expand, depthwise, written), strict=True))


def _hidden_importance(block: SeedBlock, before: Channels, after: Channels, seed: SeedNetwork) -> Tensor:
    """Of a block's hidden channels: how much of what each reads is there, times what it adds; shape [hidden]."""
    whole = block.expand.weight.flatten(1).abs().sum(dim=1)
    there = before.read(block.expand.weight, block.shape.takes, seed.importance).flatten(1).abs().sum(dim=1)
    mine, index = after.of(block.shape.gives)
    return block.given[index[mine]].sum(dim=0) * there / whole


def _written(conv: NormedConv, after: Channels, basis: int) -> NormedConv:
    """A convolution that writes its basis's channels of a map; the others are zero until they are learned."""
    mine, index = after.of(basis)
    filling = torch.randn((len(mine), *conv.weight.shape[1:]), generator=torch.Generator().manual_seed(_FILLING))
    filling *= conv.weight.square().mean().sqrt()
    norm = conv.norm.of(index)
    return NormedConv(
        torch.where(mine[:, None, None, None], conv.weight[index], filling),
        Norm(norm.weight * mine, norm.bias * mine, norm.mean * mine, torch.where(mine, norm.var, 1.0)),
    )


def _fused(block: SeedBlock) -> NormedConv:
    """Expansion and depthwise convolution as one convolution; the activation between them is left out."""
    first, depthwise = block.expand, block.depthwise
    weight = depthwise.weight * (first.norm.factor[:, None] * first.weight.flatten(1))[:, :, None, None]
    area = depthwise.weight.flatten(1)
    both = _CORRELATION * area.sum(dim=1).square() + (1 - _CORRELATION) * area.square().sum(dim=1)
    mean = area.sum(dim=1) * first.norm.factor * first.norm.mean
    norm = replace(depthwise.norm, mean=mean, var=first.norm.weight.square() * both)
    return NormedConv(weight, norm)


def _composed(block: SeedBlock) -> NormedConv:
    """A whole block as one convolution."""
    fused, project = _fused(block), block.project
    mixing = project.weight.flatten(1) * fused.norm.factor
    weight = torch.einsum("oh,hikl->oikl", mixing, fused.weight)
    var = mixing.square() @ fused.norm.var
    return NormedConv(weight, replace(project.norm, mean=mixing @ fused.norm.mean, var=var))


def _summed(block: SeedBlock, seed: SeedNetwork) -> NormedConv:
    """A block and the input that it is added to, as one convolution."""
    conv, basis = _composed(block), block.shape.gives
    factor = conv.norm.factor
    weight = factor[:, None, None, None] * conv.weight
    centre = weight.shape[-1] // 2
    weight[:, :, centre, centre] += torch.eye(len(factor))
    terms = [each.project.norm for each in seed.blocks if each.shape.gives == basis]
    terms = terms[: 1 + next(i for i, norm in enumerate(terms) if norm is block.project.norm)]
    mean = torch.stack([norm.bias for norm in terms]).sum(dim=0)
    var = torch.stack([norm.weight.square() for norm in terms]).sum(dim=0)
    before = mean - block.project.norm.bias
    return NormedConv(weight, Norm(var.sqrt(), mean, before + factor * conv.norm.mean, var))


def _sized(weight: Tensor, kernel: int) -> Tensor:
    """A kernel with its centre kept, cut or surrounded by zeros."""
    margin = (kernel - weight.shape[-1]) // 2
    return functional.pad(weight, [margin] * 4)
