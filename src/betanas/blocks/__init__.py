"""Block kinds: what a layer can be. Each is one file of this folder, which everything else goes by.

A kind's file says what its layer has, what it is called and how it is drawn, and lists its steps: convolutions and
squeeze-excitation in their order. From those steps come the costs (`betanas.cost`), the module (`betanas.models`) and
the plain source (`betanas.export`), so that they cannot disagree. A file with a `KIND` is found by itself.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from betanas.blocks.activation import Activation
from betanas.blocks.kind import BlockKind
from betanas.blocks.steps import ConvNorm, SqueezeExcitation, Step, Widths
from betanas.blocks.variants import BLOCKS, Blocks, space_title

__all__ = [
    "BLOCKS",
    "KINDS",
    "Activation",
    "BlockKind",
    "Blocks",
    "ConvNorm",
    "SqueezeExcitation",
    "Step",
    "Widths",
    "kind_named",
    "space_title",
]


def _find() -> tuple[BlockKind, ...]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    return tuple(sorted((module.KIND for module in modules if hasattr(module, "KIND")), key=lambda kind: kind.code))


KINDS = _find()
_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_named(name: str) -> BlockKind:
    """The kind of a layer, by its name in blueprints."""
    return _BY_NAME[name]
