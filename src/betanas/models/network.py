"""The network that a blueprint describes."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from betanas.blueprint import Blueprint
from betanas.errors import RecipeError
from betanas.models.blocks import build_layer, conv_norm


def build(blueprint: Blueprint) -> BlueprintNetwork:
    """The network that a blueprint describes, with random weights, on torch's current default device."""
    return BlueprintNetwork(blueprint)


class BlueprintNetwork(nn.Module):
    """A convolutional classifier built from a blueprint, layer for layer.

    Shapes: images [batch, in_channels, height, width] -> logits [batch, num_classes]. The network is fully
    convolutional up to its pooling, so other sizes than the blueprint's resolution work too.

    Attributes:
        blueprint: what the network was built from; follows `reset_classifier`.
        layers: one module for each layer of the blueprint, in order; layer 0 is the head.
        latent: 1x1 convolution to the latent channels, norm, the last layer's activation; an identity for none.
        pool: global average pool.
        classifier: the linear layer.
        num_features: channels of the pooled features, which are the classifier's inputs.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        self.blueprint = blueprint
        self.layers = nn.Sequential(*(build_layer(layer) for layer in blueprint.layers))
        last, latent = blueprint.layers[-1], blueprint.latent
        self.latent = conv_norm(last.out_channels, latent, last.activation) if latent else nn.Identity()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.num_features = blueprint.num_features
        self.classifier = nn.Linear(self.num_features, blueprint.num_classes)
        self._reduction = math.prod(layer.stride for layer in blueprint.layers)
        self.apply(initialize)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images to the latent feature map, [batch, latent, side, side].

        Raises:
            RecipeError: a single image in training mode, where the last feature maps have one pixel.
        """
        if self.training:
            _check_batch(images, self._reduction)
        features: Tensor = self.latent(self.layers(images))
        return features

    def forward_head(self, features: Tensor, *, pre_logits: bool = False) -> Tensor:
        """Latent feature maps to logits, or with `pre_logits` to the pooled features, [batch, latent]."""
        pooled: Tensor = self.pool(features).flatten(1)
        if pre_logits:
            return pooled
        logits: Tensor = self.classifier(pooled)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        return self.forward_head(self.forward_features(images))

    def reset_classifier(self, num_classes: int) -> None:
        """Give the network a new classifier with random weights, of the old one's device and type.

        Raises:
            BlueprintError: there is no class.
        """
        self.blueprint = dataclasses.replace(self.blueprint, num_classes=num_classes)
        old = self.classifier.weight
        self.classifier = nn.Linear(self.num_features, num_classes, device=old.device, dtype=old.dtype)
        initialize(self.classifier)

    @property
    def feature_info(self) -> list[dict[str, int | str]]:
        """The last feature map of each resolution, as timm's feature extraction describes them.

        Each has `num_chs` (channels), `reduction` (image side over map side) and `module` (its name).
        """
        layers = self.blueprint.layers
        lasts = [
            index
            for index, layer in enumerate(layers)
            if index + 1 == len(layers) or layers[index + 1].resolution != layer.resolution
        ]
        reductions = [math.prod(layer.stride for layer in layers[: index + 1]) for index in lasts]
        return [
            {"num_chs": layers[index].out_channels, "reduction": reduction, "module": f"layers.{index}"}
            for index, reduction in zip(lasts, reductions, strict=True)
        ]


def initialize(module: nn.Module) -> None:
    """Draw a module's own weights as torchvision's EfficientNets do; its children's stay as they are."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        bound = 1.0 / math.sqrt(module.out_features)
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)


def _check_batch(images: Tensor, reduction: int) -> None:
    """Say before batch norm does why a single image cannot train a network whose maps shrink to one pixel."""
    if images.shape[0] == 1 and max(images.shape[-2:]) <= reduction:
        raise RecipeError(
            "A network whose last feature maps have one pixel needs at least two images a batch in training"
            " mode: batch norm cannot normalise a single value.",
            value="a batch of 1",
            hint="Use larger batches and leave out a last batch of one image, or call eval() to predict.",
        )


# torch.fx traces the network without a batch, so it must not look into a check that reads the batch's size.
torch.fx.wrap("_check_batch")
