"""A plugin, run after misbehaviour.py: the networks of a search misbehave one after another, each in another way.

Which kinds are left, and what the networks so far were given, stands in the file that BETANAS_MISBEHAVIOUR names: a
network that is tried again, perhaps in another process, misbehaves as it did before.
"""

import json
import os
import sys
from pathlib import Path

from torch import nn

import betanas.models
from betanas.blueprint import Blueprint

# Run before this file, under a name that ends in its folder's digest.
(_before,) = (module for name, module in sys.modules.items() if name.startswith("betanas_user_file_misbehaviour_"))


def build(blueprint: Blueprint) -> nn.Module:
    path = Path(os.environ["BETANAS_MISBEHAVIOUR"])
    state = json.loads(path.read_text())
    if blueprint.key not in state["given"]:
        state["given"][blueprint.key] = state["left"].pop(0) if state["left"] else ""
        whole = path.with_suffix(".new")  # the search reads the file too
        whole.write_text(json.dumps(state))
        whole.replace(path)
    kind, network = state["given"][blueprint.key], _before._real_build(blueprint)
    return _before.Misbehaving(kind, network) if kind else network


betanas.models.build = build
