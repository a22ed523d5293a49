"""A blueprint's network with the methods that timm and its users expect of a model."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.layers.classifier import create_classifier
from timm.layers.helpers import get_device_dtype
from timm.models import checkpoint_seq
from timm.models._features import feature_take_indices
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from betanas.blueprint import Blueprint
from betanas.models import BlueprintNetwork
from betanas.models.network import initialize


class TimmNetwork(BlueprintNetwork):
    """A `BlueprintNetwork` as a timm model: the same layers under the same names, so that weights fit both.

    Shapes: images [batch, in_chans, height, width] -> logits [batch, num_classes], or pooled features where
    `num_classes` is 0.

    Args:
        blueprint: the network's layers.
        num_classes: classes to tell apart; 0 for no classifier, None for the blueprint's.
        in_chans: channels of the image, which the first convolution alone depends on; None for the blueprint's.
        drop_rate: of the pooled features, in training.
        drop_path_rate: stochastic depth at the last layer that has it, the others in proportion; None for the
            blueprint's.
        global_pool: timm's name of a pooling, `avg` as in the blueprint; empty for none.
        device, dtype: of the weights.
    """

    global_pool: SelectAdaptivePool2d

    def __init__(
        self,
        blueprint: Blueprint,
        num_classes: int | None = None,
        in_chans: int | None = None,
        drop_rate: float = 0.0,
        drop_path_rate: float | None = None,
        global_pool: str = "avg",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        channels = blueprint.in_channels if in_chans is None else in_chans
        super().__init__(_with_input(blueprint, channels))
        del self.pool  # `global_pool` does its work here
        self.in_chans = channels
        self.drop_rate = drop_rate
        self.grad_checkpointing = False
        if drop_path_rate is not None:
            _set_drop_path(self, drop_path_rate)
        self.reset_classifier(blueprint.num_classes if num_classes is None else num_classes, global_pool)
        self.to(device=device, dtype=dtype)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images to the latent feature map, [batch, latent, side, side]."""
        if not self.grad_checkpointing:
            return super().forward_features(images)
        features: Tensor = self.latent(checkpoint_seq(self.layers, images))
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Latent feature maps to logits, or with `pre_logits` to the pooled features."""
        pooled: Tensor = self.global_pool(features)
        if self.drop_rate > 0.0:
            pooled = functional.dropout(pooled, p=self.drop_rate, training=self.training)
        if pre_logits:
            return pooled
        logits: Tensor = self.classifier(pooled)
        return logits

    def get_classifier(self) -> nn.Module:
        """The linear layer; an identity where there is no class."""
        return self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Give the network a new classifier with random weights, of the old one's device and type.

        Args:
            num_classes: 0 for none.
            global_pool: timm's name of a pooling, empty for none; None keeps the present one.
        """
        kept = self.global_pool.pool_type if global_pool is None else global_pool
        self.num_classes = num_classes
        self.global_pool, self.classifier = create_classifier(
            self.num_features,
            num_classes,
            pool_type=kept,
            **get_device_dtype(self),  # type: ignore[no-untyped-call]
        )
        self.head_hidden_size = self.num_features * self.global_pool.feat_mult()  # type: ignore[no-untyped-call]
        if num_classes > 0:
            initialize(self.classifier)
            self.blueprint = dataclasses.replace(self.blueprint, num_classes=num_classes)
        for module in (self.global_pool, self.classifier):
            module.train(self.training)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Whether training recomputes each layer's activations in the backward pass instead of keeping them."""
        self.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns of parameters' names, from the image to the head: for layer-wise learning rates.

        Args:
            coarse: one group for each resolution instead of one for each layer.
        """
        blocks: list[tuple[str, tuple[int, ...] | None]]
        if coarse:
            blocks, first = [], 1
            for stage, last in enumerate(self._lasts):
                numbers = "|".join(str(number) for number in range(first, last + 1))
                if numbers:
                    blocks.append((rf"^layers\.(?:{numbers})\.", (stage,)))
                first = max(first, last + 1)
        else:
            blocks = [(r"^layers\.(\d+)\.", None)]
        return {"stem": r"^layers\.0\.", "blocks": [*blocks, (r"^latent\.", (99999,))]}

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The latent feature map, and the last map of each resolution as `feature_info` counts them.

        Args:
            x: images.
            indices: which maps: all for None, the last n for a number, or their indices.
            norm: without effect: every map has been normalised.
            stop_early: leave out the layers after the last map that is asked for.
            output_fmt: NCHW.
            intermediates_only: without the latent feature map.

        Raises:
            ValueError: another output format.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be NCHW, not {output_fmt}")
        places, furthest = feature_take_indices(len(self._lasts), indices)
        wanted = {self._lasts[place] for place in places}
        depth = self._lasts[furthest] + 1 if stop_early else len(self.layers)
        maps = []
        for number, layer in enumerate(self.layers[:depth]):
            x = checkpoint_seq([layer], x) if self.grad_checkpointing else layer(x)
            if number in wanted:
                maps.append(x)
        if intermediates_only:
            return maps
        return (self.latent(x) if depth == self._lasts[-1] + 1 else x), maps

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove the layers after the last map that is asked for, and what would follow them.

        Args:
            indices: as in `forward_intermediates`.
            prune_norm: remove the latent convolution, which nothing but the head needs.
            prune_head: remove the classifier.

        Returns:
            The indices from the first map on.
        """
        places: list[int]
        places, furthest = feature_take_indices(len(self._lasts), indices)
        last = self._lasts[furthest]
        cut = last + 1 < len(self.layers)
        if cut or prune_norm:
            self.latent = nn.Identity()
            self.num_features = self.blueprint.layers[last].out_channels
        self.layers = self.layers[: last + 1]
        if cut or prune_norm or prune_head:
            self.reset_classifier(0, "")
        return places

    @property
    def _lasts(self) -> list[int]:
        """The layers whose outputs are feature maps."""
        return [int(str(entry["module"]).removeprefix("layers.")) for entry in self.feature_info]


def _with_input(blueprint: Blueprint, channels: int) -> Blueprint:
    """The same layers for images of other channels: as timm has it, the first convolution alone is another."""
    first, *others = blueprint.layers
    return dataclasses.replace(
        blueprint, in_channels=channels, layers=(dataclasses.replace(first, in_channels=channels), *others)
    )


def _set_drop_path(network: nn.Module, rate: float) -> None:
    layers = [module for module in network.modules() if isinstance(module, StochasticDepth)]
    most = max((layer.p for layer in layers), default=0.0)
    for layer in layers:
        layer.p = layer.p * rate / most if most > 0 else rate
