"""Networks as `torch.nn.Module`s: those that blueprints describe, and those they are compared with.

Names are loaded when they are first used, so that asking which benchmark networks there are loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betanas.lazy import load_when_used

if TYPE_CHECKING:
    from betanas.models.benchmarks import benchmark_costs, benchmark_network
    from betanas.models.names import available_networks
    from betanas.models.network import BlueprintNetwork, build

_MODULES = {
    "BlueprintNetwork": "network",
    "available_networks": "names",
    "benchmark_costs": "benchmarks",
    "benchmark_network": "benchmarks",
    "build": "network",
}

__all__ = ["BlueprintNetwork", "available_networks", "benchmark_costs", "benchmark_network", "build"]

__getattr__ = load_when_used(__name__, _MODULES)
