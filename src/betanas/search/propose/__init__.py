"""Search strategies behind one ask/tell contract."""

from betanas.search.propose.base import Observation, Prediction, Strategy, Suggestion
from betanas.search.propose.registry import available_strategies, get_strategy, register_strategy

__all__ = [
    "Observation",
    "Prediction",
    "Strategy",
    "Suggestion",
    "available_strategies",
    "get_strategy",
    "register_strategy",
]
