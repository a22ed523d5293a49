"""What a network costs, counted from its blueprint alone: parameters, multiply-accumulates, training memory."""

from betanas.cost.macs import count_macs
from betanas.cost.memory import training_memory
from betanas.cost.params import count_params

__all__ = ["count_macs", "count_params", "training_memory"]
