"""A plugin, run after misbehaviour.py: every network raises, whatever its blueprint."""

from torch import nn

import betanas.models
from betanas.blueprint import Blueprint


def build(blueprint: Blueprint) -> nn.Module:
    raise RuntimeError("this network is broken on purpose")


betanas.models.build = build
