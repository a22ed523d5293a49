"""Networks with names: the report's, and those that our own searches and trainings found, some with weights.

Names are loaded when they are first used, so that looking through the library loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betanas.lazy import load_when_used

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


__getattr__ = load_when_used(__name__, _MODULES)
