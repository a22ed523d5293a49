"""Export: a trained network, taken home in the forms that other programs read, and asked about images.

`betanas.export` is this package and also what a person calls to export, as `betanas.search` is for searching.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from betanas.lazy import load_when_used

if TYPE_CHECKING:
    from betanas.export.classifier import ImageClassifier, load_classifier
    from betanas.export.exporting import FORMATS, Export, export_network
    from betanas.export.prediction import Choice, Prediction, Predictor, predict
    from betanas.export.sidecar import Sidecar

_MODULES = {
    "FORMATS": "exporting",
    "Choice": "prediction",
    "Export": "exporting",
    "ImageClassifier": "classifier",
    "Prediction": "prediction",
    "Predictor": "prediction",
    "Sidecar": "sidecar",
    "export_network": "exporting",
    "load_classifier": "classifier",
    "predict": "prediction",
}

__all__ = [
    "FORMATS",
    "Choice",
    "Export",
    "ImageClassifier",
    "Prediction",
    "Predictor",
    "Sidecar",
    "export_network",
    "load_classifier",
    "predict",
]


__getattr__ = load_when_used(__name__, _MODULES)


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **settings: Any) -> Export:
        """Export a trained network: see `betanas.export.exporting.export_network`."""
        from betanas.export.exporting import export_network

        return export_network(*arguments, **settings)


sys.modules[__name__].__class__ = _CallablePackage
