"""Search strategies behind one ask/tell contract."""

from betanas.search.propose.base import Observation, Prediction, Strategy, Suggestion
from betanas.search.propose.neighbours import NeighbourStrategy
from betanas.search.propose.options import read_options
from betanas.search.propose.registry import available_strategies, get_strategy, register_strategy
from betanas.search.propose.screened import ScreenedStrategy

__all__ = [
    "NeighbourStrategy",
    "Observation",
    "Prediction",
    "ScreenedStrategy",
    "Strategy",
    "Suggestion",
    "available_strategies",
    "get_strategy",
    "read_options",
    "register_strategy",
]
