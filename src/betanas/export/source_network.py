"""The network's class as Python source: layer by layer for a blueprint, torchvision's or ours for a benchmark.

Like all generated source it is formatted as `ruff format` formats it, without needing ruff.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from betanas.blocks import Activation, BlockKind, ConvNorm, SqueezeExcitation, Step
from betanas.blueprint import Blueprint, Layer
from betanas.export.naming import stages
from betanas.export.sidecar import Sidecar
from betanas.models.benchmarks import SMALL_IMAGE_NETWORKS

# ruff's own: a stranger's folder has no configuration.
_WIDTH = 88

_POOLED = '''\
def pooled(layer: nn.Sequential) -> nn.Sequential:
    """A convolution's layer that halves the side by a max pool."""
    return layer.append(nn.MaxPool2d(2, ceil_mode=True))
'''

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


@dataclass(frozen=True)
class _Names:
    """A layer whose channels are the names that they have in a class's constructor."""

    in_channels: str = "in_channels"
    out_channels: str = "out_channels"
    hidden: str = "hidden"
    squeeze: str = "squeeze"


@dataclass(frozen=True)
class _Form:
    """What decides the class of a layer: layers that differ in numbers alone share one."""

    block: BlockKind
    activation: str
    pooled: bool
    squeezed: bool

    @classmethod
    def of(cls, layer: Layer) -> _Form:
        return cls(layer.block, layer.activation, layer.pooled, layer.squeeze > 0)

    @property
    def class_name(self) -> str:
        """SiLU and squeeze-excitation are what the kind has as a rule, and go without saying."""
        without = "WithoutSE" if self.block.has_squeeze and not self.squeezed else ""
        activation = "" if self.activation == Activation.SiLU.name else self.activation
        return f"{'Pooled' if self.pooled else ''}{self.block.source_name}{without}{activation}"

    @property
    def steps(self) -> tuple[Step[str], ...]:
        return self.block.steps(_Names(), self.squeezed)


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
    forms = sorted({_Form.of(layer) for layer in blueprint.layers}, key=lambda form: (form.block.code, form.class_name))
    blocks = [form for form in forms if form.block.source_name]
    steps = [step for form in forms for step in form.steps]
    activations = {form.activation for form in forms if any(_is_activated(step) for step in form.steps)}
    if blueprint.latent:
        activations.add(blueprint.layers[-1].activation)
    pieces = ["Conv2dNormActivation"]
    pieces += ["SqueezeExcitation"] if any(isinstance(step, SqueezeExcitation) for step in steps) else []
    pieces += ["StochasticDepth"] if blocks else []
    plain = any(isinstance(step, ConvNorm) and not step.activated for step in steps)
    aliases = [_alias(activation) for activation in Activation.__members__ if activation in activations]
    helpers = [_POOLED] if any(form.pooled for form in forms) else []
    helpers += [_BLOCK] if blocks else []
    return NetworkSource(
        standard=(*(("from collections import OrderedDict",) if blocks else ()), "from functools import partial"),
        torchvision=(f"from torchvision.ops import {', '.join(pieces)}",),
        aliases=(*aliases, *([_alias(None)] if plain else [])),
        classes=(*helpers, *(_class(form) for form in blocks), _network(sidecar, blueprint)),
    )


def _alias(activation: str | None) -> str:
    """A short name for convolution, norm and activation."""
    arguments = ["Conv2dNormActivation", f"activation_layer={f'nn.{activation}' if activation else None}"]
    arguments += ["inplace=False"] if activation else []
    return "\n".join(_call("partial", arguments, before=f"ConvNorm{activation or ''} = ", indent=0)) + "\n"


def _class(form: _Form) -> str:
    """The class of the layers of one form."""
    numbers = ["hidden: int"] + (["squeeze: int"] if form.squeezed else [])
    numbers += ["drop_path: float = 0.0"] if not form.pooled else []
    if not form.pooled:
        numbers.insert(-1, "stride: int = 1")
    branch = [
        line
        for step in form.steps
        for line in _call(*_step(step, form), before=f'"{step.name}": ', indent=12, after=",")
    ]
    if form.pooled:
        ending = ["        super().__init__(branch, residual=False, drop_path=0.0)"]
    else:
        ending = [
            "        residual = stride == 1 and in_channels == out_channels",
            "        super().__init__(branch, residual=residual, drop_path=drop_path)",
        ]
    lines = [
        f"class {form.class_name}(Block):",
        f'    """{", ".join(_in_words(step, form) for step in form.steps)}."""',
        "",
        *_signature(["in_channels: int", "out_channels: int", "*", *numbers]),
        "        branch = {",
        *branch,
        "        }",
        *ending,
    ]
    return "\n".join(lines) + "\n"


def _signature(arguments: Sequence[str]) -> list[str]:
    together = f"        self, {', '.join(arguments)}"
    whole = f"    def __init__({together.strip()}) -> None:"
    if len(whole) <= _WIDTH:
        return [whole]
    if len(together) <= _WIDTH:
        return ["    def __init__(", together, "    ) -> None:"]
    return ["    def __init__(", *(f"        {each}," for each in ("self", *arguments)), "    ) -> None:"]


def _is_activated(step: Step[str]) -> bool:
    return isinstance(step, ConvNorm) and step.activated


def _in_words(step: Step[str], form: _Form) -> str:
    if isinstance(step, SqueezeExcitation):
        return "squeeze-excitation"
    size = f"{step.kernel}x{step.kernel}"
    ends = {"hidden": f"{size} to the hidden channels", "out_channels": f"{size} to the output"}
    words = f"depthwise {size}" if step.depthwise else ends[step.gives]
    return f"{words}, 2x2 max pool" if step.contracts and form.pooled else words


def _step(step: Step[Any], form: _Form, stride: object = "stride") -> tuple[str, list[str]]:
    """The call that makes one step's module: its name and its arguments."""
    if isinstance(step, SqueezeExcitation):
        return "SqueezeExcitation", [step.channels, step.squeeze, f"activation=nn.{form.activation}"]
    pools = step.contracts and form.pooled
    arguments = [f"{step.takes}", f"{step.gives}", f"kernel_size={step.kernel}"]
    arguments += [f"stride={stride}"] if step.contracts and not pools else []
    arguments += [f"groups={step.takes}"] if step.depthwise else []
    name = f"ConvNorm{form.activation if step.activated else ''}"
    return ("pooled", [f"{name}({', '.join(arguments)})"]) if pools else (name, arguments)


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
    names = ["stem", *(stage.name for stage in found)]
    if blueprint.latent:
        latent = (str(last.out_channels), str(blueprint.latent), "kernel_size=1")
        body += _call(f"ConvNorm{last.activation}", latent, before="self.latent = ", indent=8)
        names.append("latent")
    body.append("        self.pool = nn.AdaptiveAvgPool2d(1)")
    body.append(f"        self.classifier = nn.Linear({blueprint.num_features}, num_classes)")
    steps = "".join(f"        x = self.{name}(x)\n" for name in names)
    return (
        _opening(sidecar)
        + "\n".join(body)
        + "\n\n    def forward(self, images: Tensor) -> Tensor:\n        x = (images - self.mean) / self.std\n"
        + steps
        + "        return self.classifier(self.pool(x).flatten(1))\n"
    )


def _benchmark(sidecar: Sidecar) -> NetworkSource:
    adapted = SMALL_IMAGE_NETWORKS.get(str(sidecar.architecture))
    origin = "" if adapted else "models."
    lines = [f"        self.network = {origin}{sidecar.architecture}(num_classes=num_classes)"]
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
    functions = [inspect.getsource(adapted)] if adapted else []
    return NetworkSource(
        standard=(), torchvision=("from torchvision import models",), aliases=(), classes=(*functions, network)
    )


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
    form = _Form.of(layer)
    if not layer.block.source_name:
        (step,) = layer.block.steps(layer, form.squeezed)
        name, pieces = _step(step, form, layer.stride)
        return name, tuple(pieces)
    arguments = [str(layer.in_channels), str(layer.out_channels)]
    arguments.append(f"hidden={layer.hidden}")
    if layer.squeeze:
        arguments.append(f"squeeze={layer.squeeze}")
    if layer.stride != 1 and not layer.pooled:
        arguments.append(f"stride={layer.stride}")
    if layer.drop_path:
        arguments.append(f"drop_path={float(f'{layer.drop_path:.4g}')!r}")
    return form.class_name, tuple(arguments)


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
