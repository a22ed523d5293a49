"""The network's class as Python source: layer by layer for a blueprint, torchvision's own for a benchmark network.

Like all generated source it is formatted as `ruff format` formats it, without needing ruff.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from betanas.blueprint import Blueprint, Layer
from betanas.export.naming import stages
from betanas.export.sidecar import Sidecar

# ruff's own: a stranger's folder has no configuration.
_WIDTH = 88

_CONV_NORM_SILU = """\
ConvNormSiLU = partial(Conv2dNormActivation, activation_layer=nn.SiLU, inplace=False)
"""

_CONV_NORM = """\
ConvNorm = partial(Conv2dNormActivation, activation_layer=None)
"""

_BLOCK = '''\
class Block(nn.Module):
    """A branch of layers, added to its input where both have one shape."""

    def __init__(
        self, branch: dict[str, nn.Module], *, residual: bool, drop_path: float
    ) -> None:
        super().__init__()
        self.branch = nn.Sequential(OrderedDict(branch))
        self.drop_path = StochasticDepth(drop_path, mode="row") if residual else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        return y if self.drop_path is None else x + self.drop_path(y)
'''

_FUSED_MBCONV = '''\
class FusedMBConv(Block):
    """3x3 convolution to the hidden channels, 1x1 to the output."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int,
        stride: int = 1,
        drop_path: float = 0.0,
    ) -> None:
        branch = {
            "expand": ConvNormSiLU(in_channels, hidden, kernel_size=3, stride=stride),
            "project": ConvNorm(hidden, out_channels, kernel_size=1),
        }
        residual = stride == 1 and in_channels == out_channels
        super().__init__(branch, residual=residual, drop_path=drop_path)
'''

_MBCONV = '''\
class MBConv(Block):
    """1x1 to the hidden channels, depthwise 3x3, squeeze-excitation, 1x1 to the output."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int,
        squeeze: int,
        stride: int = 1,
        drop_path: float = 0.0,
    ) -> None:
        branch = {
            "expand": ConvNormSiLU(in_channels, hidden, kernel_size=1),
            "depthwise": ConvNormSiLU(
                hidden, hidden, kernel_size=3, stride=stride, groups=hidden
            ),
            "squeeze_excitation": SqueezeExcitation(
                hidden, squeeze, activation=nn.SiLU
            ),
            "project": ConvNorm(hidden, out_channels, kernel_size=1),
        }
        residual = stride == 1 and in_channels == out_channels
        super().__init__(branch, residual=residual, drop_path=drop_path)
'''


@dataclass(frozen=True)
class NetworkSource:
    """A part of the module.

    Attributes:
        standard: imports from Python's library.
        torchvision: imports from torchvision.
        aliases: short definitions, one below the other.
        classes: class definitions, the last one `Network`.
    """

    standard: tuple[str, ...]
    torchvision: tuple[str, ...]
    aliases: tuple[str, ...]
    classes: tuple[str, ...]


def network_source(sidecar: Sidecar) -> NetworkSource:
    """The source of a network that maps images from 0 to 1 to logits."""
    blueprint = sidecar.blueprint
    return _benchmark(sidecar) if blueprint is None else _of_blueprint(sidecar, blueprint)


def _of_blueprint(sidecar: Sidecar, blueprint: Blueprint) -> NetworkSource:
    kinds = {layer.kind for layer in blueprint.layers}
    blocks = bool(kinds - {"CNA"})
    pieces = ["Conv2dNormActivation"]
    pieces += ["SqueezeExcitation"] if "MBC" in kinds else []
    pieces += ["StochasticDepth"] if blocks else []
    classes = [_BLOCK] if blocks else []
    classes += [_FUSED_MBCONV] if "FMBC" in kinds else []
    classes += [_MBCONV] if "MBC" in kinds else []
    order = ("from collections import OrderedDict",) if blocks else ()
    return NetworkSource(
        standard=(*order, "from functools import partial"),
        torchvision=(f"from torchvision.ops import {', '.join(pieces)}",),
        aliases=(_CONV_NORM_SILU, _CONV_NORM) if blocks else (_CONV_NORM_SILU,),
        classes=(*classes, _network(sidecar, blueprint)),
    )


def _network(sidecar: Sidecar, blueprint: Blueprint) -> str:
    found = stages(blueprint)
    head, last = blueprint.layers[0], blueprint.layers[-1]
    body = [f"        # {_sides(blueprint.resolution, head)}"]
    body += _call(*_layer(head), before="self.stem = ", indent=8)
    for stage in found:
        body.append(f"        # {_sides(stage.side, stage.layers[0])}")
        body.append(f"        self.{stage.name} = nn.Sequential(")
        for (name, arguments), run in groupby(_layer(layer) for layer in stage.layers):
            body += _repeated(name, arguments, len(list(run)))
        body.append("        )")
    latent = (str(last.out_channels), str(blueprint.latent), "kernel_size=1")
    body += _call("ConvNormSiLU", latent, before="self.latent = ", indent=8)
    body.append("        self.pool = nn.AdaptiveAvgPool2d(1)")
    body.append(f"        self.classifier = nn.Linear({blueprint.latent}, num_classes)")
    steps = "".join(f"        x = self.{name}(x)\n" for name in ("stem", *(stage.name for stage in found), "latent"))
    return (
        _opening(sidecar)
        + "\n".join(body)
        + "\n\n    def forward(self, images: Tensor) -> Tensor:\n        x = (images - self.mean) / self.std\n"
        + steps
        + "        return self.classifier(self.pool(x).flatten(1))\n"
    )


def _benchmark(sidecar: Sidecar) -> NetworkSource:
    lines = [f"        self.network = models.{sidecar.architecture}(num_classes=num_classes)"]
    if sidecar.in_channels != 3:
        lines += [
            "        # Made for three channels; these images have another number.",
            "        modules = self.network.modules()",
            "        stem = next(each for each in modules if isinstance(each, nn.Conv2d))",
            f"        stem.in_channels = {sidecar.in_channels}",
            f"        stem.weight = nn.Parameter(stem.weight[:, :{sidecar.in_channels}].clone())",
        ]
    network = (
        _opening(sidecar)
        + "\n".join(lines)
        + (
            "\n\n    def forward(self, images: Tensor) -> Tensor:\n"
            "        return self.network((images - self.mean) / self.std)\n"
        )
    )
    return NetworkSource(standard=(), torchvision=("from torchvision import models",), aliases=(), classes=(network,))


def _opening(sidecar: Sidecar) -> str:
    side, channels, classes = sidecar.resolution, sidecar.in_channels, sidecar.num_classes
    return f'''\
class Network(nn.Module):
    """Images [batch, {channels}, {side}, {side}], from 0 to 1, to logits [batch, {classes}]."""

    def __init__(self, num_classes: int = {classes}) -> None:
        super().__init__()
        mean, std = torch.tensor(MEAN), torch.tensor(STD)
        self.register_buffer("mean", mean.view(-1, 1, 1), persistent=False)
        self.register_buffer("std", std.view(-1, 1, 1), persistent=False)
'''


def _sides(entering: int, first: Layer) -> str:
    leaving = first.resolution
    return f"{entering} to {leaving} pixels" if leaving != entering else f"{leaving} pixels"


def _layer(layer: Layer) -> tuple[str, tuple[str, ...]]:
    """The class that a layer becomes, and its arguments; what is the default is left out."""
    arguments = [str(layer.in_channels), str(layer.out_channels)]
    if layer.kind == "CNA":
        return "ConvNormSiLU", (*arguments, "kernel_size=3", f"stride={layer.stride}")
    arguments.append(f"hidden={layer.hidden}")
    if layer.kind == "MBC":
        arguments.append(f"squeeze={layer.squeeze}")
    if layer.stride != 1:
        arguments.append(f"stride={layer.stride}")
    if layer.drop_path:
        arguments.append(f"drop_path={float(f'{layer.drop_path:.4g}')!r}")
    return {"FMBC": "FusedMBConv", "MBC": "MBConv"}[layer.kind], tuple(arguments)


def _repeated(name: str, arguments: Sequence[str], times: int) -> list[str]:
    """Elements of a sequence: equal layers in one line where it is long enough for them."""
    together = f"            *({name}({', '.join(arguments)}) for _ in range({times})),"
    if times > 1 and len(together) <= _WIDTH:
        return [together]
    return times * _call(name, arguments, indent=12, after=",")


def _call(name: str, arguments: Sequence[str], *, indent: int, before: str = "", after: str = "") -> list[str]:
    """A call in as few lines as fit: one, or the arguments in a line of their own, or each in one."""
    pad, inner = " " * indent, " " * (indent + 4)
    joined = ", ".join(arguments)
    whole = f"{pad}{before}{name}({joined}){after}"
    if len(whole) <= _WIDTH:
        return [whole]
    middle = [f"{inner}{joined}"]
    if len(middle[0]) > _WIDTH:
        middle = [f"{inner}{argument}," for argument in arguments]
    return [f"{pad}{before}{name}(", *middle, f"{pad}){after}"]
