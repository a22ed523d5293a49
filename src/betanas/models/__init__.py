"""Networks as `torch.nn.Module`s: those that blueprints describe, and those they are compared with."""

from betanas.models.benchmarks import available_networks, benchmark_costs, benchmark_network
from betanas.models.network import BlueprintNetwork, build

__all__ = ["BlueprintNetwork", "available_networks", "benchmark_costs", "benchmark_network", "build"]
