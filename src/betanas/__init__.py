"""BetaNAS: neural architecture search for your own images on the hardware you have.

    import betanas as bn

    found = bn.find("photos", time="1h", to="model")
    print(found.advice)

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from betanas._version import __version__
from betanas.lazy import load_when_used

if TYPE_CHECKING:
    from betanas import export, search
    from betanas.blueprint import Blueprint, Layer
    from betanas.calls import compare, confirm, find, resume, train
    from betanas.data import ArraySource, DataSource, open_source, register_source
    from betanas.errors import BetanasError, UserError
    from betanas.export import predict
    from betanas.finding.finding import Found
    from betanas.library import load_network
    from betanas.models import benchmark_network, build
    from betanas.search.executors import Executor, register_executor
    from betanas.search.objectives import register_objective
    from betanas.search.propose import Observation, Prediction, Strategy, Suggestion, register_strategy
    from betanas.search.settings import SearchSettings
    from betanas.search.study import Study
    from betanas.spaces import Range, SearchSpace, available_spaces, get_space, published, register_space
    from betanas.training.recipe import Recipe, load_recipe

_HOMES = {
    "ArraySource": "data",
    "BetanasError": "errors",
    "Blueprint": "blueprint",
    "DataSource": "data",
    "Executor": "search.executors",
    "Found": "finding.finding",
    "Layer": "blueprint",
    "Observation": "search.propose",
    "Prediction": "search.propose",
    "Range": "spaces",
    "Recipe": "training.recipe",
    "SearchSettings": "search.settings",
    "SearchSpace": "spaces",
    "Strategy": "search.propose",
    "Study": "search.study",
    "Suggestion": "search.propose",
    "UserError": "errors",
    "available_spaces": "spaces",
    "benchmark_network": "models",
    "build": "models",
    "compare": "calls",
    "confirm": "calls",
    "find": "calls",
    "get_space": "spaces",
    "load_network": "library",
    "load_recipe": "training.recipe",
    "open_source": "data",
    "predict": "export",
    "published": "spaces",
    "register_executor": "search.executors",
    "register_objective": "search.objectives",
    "register_source": "data",
    "register_space": "spaces",
    "register_strategy": "search.propose",
    "resume": "calls",
    "train": "calls",
}

__all__ = [
    "ArraySource",
    "BetanasError",
    "Blueprint",
    "DataSource",
    "Executor",
    "Found",
    "Layer",
    "Observation",
    "Prediction",
    "Range",
    "Recipe",
    "SearchSettings",
    "SearchSpace",
    "Strategy",
    "Study",
    "Suggestion",
    "UserError",
    "__version__",
    "available_spaces",
    "benchmark_network",
    "build",
    "compare",
    "confirm",
    "export",
    "find",
    "get_space",
    "load_network",
    "load_recipe",
    "open_source",
    "predict",
    "published",
    "register_executor",
    "register_objective",
    "register_source",
    "register_space",
    "register_strategy",
    "resume",
    "search",
    "train",
]


_find = load_when_used(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name in ("export", "search"):  # the package is what is called; see betanas.search
        return import_module(f"betanas.{name}")
    return _find(name)


def __dir__() -> list[str]:
    return sorted(__all__)


if "IPython" in sys.modules:
    from betanas.display import register_with_ipython

    register_with_ipython()
