"""Networks with names: the report's, and those that our own searches and trainings found, some with weights.

Names are loaded when they are first used, so that looking through the library loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from betanas.library.catalogue import LibraryNetwork, Weights, find_named, library_networks
    from betanas.library.loading import load_network
    from betanas.library.packing import pack_network

_MODULES = {
    "LibraryNetwork": "catalogue",
    "Weights": "catalogue",
    "find_named": "catalogue",
    "library_networks": "catalogue",
    "load_network": "loading",
    "pack_network": "packing",
}

__all__ = ["LibraryNetwork", "Weights", "find_named", "library_networks", "load_network", "pack_network"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
