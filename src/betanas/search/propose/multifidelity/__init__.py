"""Gaussian-process search over candidates and the part of the budget that each deserves."""

from betanas.search.propose.multifidelity.strategy import MultiFidelity, MultiFidelityOptions

__all__ = ["MultiFidelity", "MultiFidelityOptions"]
