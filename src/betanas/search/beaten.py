"""By how much a search beats the plain networks that it trained first."""

from __future__ import annotations

from collections.abc import Sequence

from betanas.quantities import format_count
from betanas.search.records import TrialRecord


def beside_baselines(top1: float, params: int, baselines: Sequence[TrialRecord]) -> str:
    """How the search's best network does beside them, as a sentence; empty where none was trained to the end.

    Args:
        top1: validation accuracy of the best network in the search itself, in [0, 1].
        params: its parameters.
        baselines: the trials of the plain networks.
    """
    trained = [one for one in baselines if one.state == "completed" and one.top1 is not None]
    if not trained:
        return ""
    listed = ", ".join(f"{one.name} {one.top1:.2%} ({format_count(one.params)} parameters)" for one in trained)
    best = max(trained, key=lambda one: one.top1 or 0.0)
    gain = 100 * (top1 - (best.top1 or 0.0))
    if gain >= 0:
        lead = f"{gain:.2f} points above the best of them, with {params / best.params:.2g} times its parameters"
        return f"Trained alike for comparison: {listed}. The best network found is {lead}."
    return (
        f"Trained alike for comparison: {listed}. The best network found is {-gain:.2f} points below {best.name}: take "
        f"that one (betanas train {best.name}), give the search more time, or search another space."
    )
