"""Gaussian-process expected improvement; torch and BoTorch are imported when the model takes over."""

from betanas.search.propose.gpei.strategy import Gpei, GpeiOptions

__all__ = ["Gpei", "GpeiOptions"]
