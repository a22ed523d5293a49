"""Known networks as they are adapted to small images: the first layers keep the side instead of a quarter of it.

Exported source holds these functions as they stand here: they need nothing but torch and torchvision, have three input
channels, and keep to 88 columns.
"""

from torch import nn
from torchvision import models


def resnet20(num_classes: int) -> nn.Module:
    """ResNet20 of He et al. (2016, section 4.2): three stages of three blocks."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
    ]
    for before, after in ((16, 16), (16, 32), (32, 64)):
        stride, shortcut = after // before, None
        if stride == 2:
            halved = nn.Conv2d(before, after, kernel_size=1, stride=2, bias=False)
            shortcut = nn.Sequential(halved, nn.BatchNorm2d(after))
        layers.append(models.resnet.BasicBlock(before, after, stride, shortcut))
        layers += [models.resnet.BasicBlock(after, after) for _ in range(2)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes)]
    for layer in nn.Sequential(*layers).modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(*layers)


def resnet18_32px(num_classes: int) -> nn.Module:
    """ResNet18 with a 3x3 convolution as its stem, and no pooling behind it."""
    network: nn.Module = models.resnet18(num_classes=num_classes)
    stem = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    network.conv1 = stem
    network.maxpool = nn.Identity()
    return network


def mobilenet_v2_32px(num_classes: int) -> nn.Module:
    """MobileNetV2 whose stem and second stage keep the side."""
    network = models.mobilenet_v2(num_classes=num_classes)
    network.features[0][0].stride = (1, 1)
    network.features[2].conv[1][0].stride = (1, 1)
    adapted: nn.Module = network
    return adapted


def efficientnet_b0_32px(num_classes: int) -> nn.Module:
    """EfficientNet-B0 whose stem and second stage keep the side."""
    network = models.efficientnet_b0(num_classes=num_classes)
    network.features[0][0].stride = (1, 1)
    network.features[2][0].block[1][0].stride = (1, 1)
    adapted: nn.Module = network
    return adapted
