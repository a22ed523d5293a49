"""What a network costs, by its blueprint alone: parameters, multiply-accumulates, training memory, latency."""

from betanas.cost.latency import LatencyModel
from betanas.cost.macs import count_macs
from betanas.cost.memory import training_memory
from betanas.cost.params import count_params

__all__ = ["LatencyModel", "count_macs", "count_params", "training_memory"]
