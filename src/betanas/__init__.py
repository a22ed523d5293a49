"""BetaNAS: neural architecture search for your own images on the hardware you have.

    import betanas as bn

    study = bn.search(data="digits", study="runs/digits", budget="10s", trials=20)
    print(study.best())

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from betanas._version import __version__

if TYPE_CHECKING:
    from betanas import export, search
    from betanas.blueprint import Blueprint, Layer
    from betanas.data import ArraySource, DataSource, open_source, register_source
    from betanas.errors import BetanasError, UserError
    from betanas.export import predict
    from betanas.library import load_network
    from betanas.models import benchmark_network, build
    from betanas.search.executors import Executor, register_executor
    from betanas.search.objectives import register_objective
    from betanas.search.propose import Observation, Prediction, Strategy, Suggestion, register_strategy
    from betanas.search.run import resume
    from betanas.search.settings import SearchSettings
    from betanas.search.study import Study
    from betanas.spaces import Range, SearchSpace, available_spaces, get_space, published, register_space
    from betanas.training.recipe import Recipe, load_recipe

_HOMES = {
    "ArraySource": "betanas.data",
    "BetanasError": "betanas.errors",
    "Blueprint": "betanas.blueprint",
    "DataSource": "betanas.data",
    "Executor": "betanas.search.executors",
    "Layer": "betanas.blueprint",
    "Observation": "betanas.search.propose",
    "Prediction": "betanas.search.propose",
    "Range": "betanas.spaces",
    "Recipe": "betanas.training.recipe",
    "SearchSettings": "betanas.search.settings",
    "SearchSpace": "betanas.spaces",
    "Strategy": "betanas.search.propose",
    "Study": "betanas.search.study",
    "Suggestion": "betanas.search.propose",
    "UserError": "betanas.errors",
    "available_spaces": "betanas.spaces",
    "benchmark_network": "betanas.models",
    "build": "betanas.models",
    "get_space": "betanas.spaces",
    "load_network": "betanas.library",
    "load_recipe": "betanas.training.recipe",
    "open_source": "betanas.data",
    "predict": "betanas.export",
    "published": "betanas.spaces",
    "register_executor": "betanas.search.executors",
    "register_objective": "betanas.search.objectives",
    "register_source": "betanas.data",
    "register_space": "betanas.spaces",
    "register_strategy": "betanas.search.propose",
    "resume": "betanas.search.run",
}

__all__ = [
    "ArraySource",
    "BetanasError",
    "Blueprint",
    "DataSource",
    "Executor",
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
    "export",
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
]


def __getattr__(name: str) -> Any:
    if name in ("export", "search"):  # the package is what is called; see betanas.search
        return import_module(f"betanas.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


if "IPython" in sys.modules:
    from betanas.display import register_with_ipython

    register_with_ipython()
