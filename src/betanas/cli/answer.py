"""What is said of a network's latency: predicted, measured where its table's machine is at hand, beside the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from betanas.quantities import format_latency
from betanas.search.settings import Limits

if TYPE_CHECKING:
    from betanas.blueprint import Blueprint
    from betanas.profiling.calibration.answer import Answer

# Measured above the limit by more than this is worth a warning.
ALLOWED = 0.1


def measured_answer(blueprint: Blueprint, limits: Limits) -> Answer | None:
    """A network's latency, predicted and measured; None without a latency table."""
    if limits.latency_table is None:
        return None
    from betanas.profiling.calibration.answer import answer

    return answer(blueprint, limits.latency_table)


def show_answer(out: Console, blueprint: Blueprint, limits: Limits) -> None:
    """Print what is known of a network's latency; nothing without a latency table."""
    found, table = measured_answer(blueprint, limits), limits.latency_table
    if found is None or table is None:
        return
    out.print(
        f"Predicted: {format_latency(found.predicted)} an answer ({table}; 90% within {table.error.p90:.0%})",
        soft_wrap=True,
        markup=False,
    )
    if found.measured is None:
        out.print(f"Not measured. {found.unmeasured}", soft_wrap=True, markup=False)
        return
    out.print(
        f"Measured here: {format_latency(found.measured)}, {found.measured / found.predicted:.2f} of what is predicted",
        soft_wrap=True,
        markup=False,
    )
    if found.drift is not None and abs(found.drift - 1.0) > ALLOWED:
        out.print(f"[yellow]{drift_words(found.drift)}[/yellow]", soft_wrap=True)
    if limits.latency is not None and found.measured > (1 + ALLOWED) * limits.latency:
        above = found.measured / limits.latency - 1.0
        out.print(
            f"[yellow]That is {above:.0%} above the limit of {format_latency(limits.latency)}: choose another trial "
            "(betanas profile measures them), or search again with a lower --max-latency.[/yellow]",
            soft_wrap=True,
        )


def warn_of_drift(out: Console, limits: Limits) -> None:
    """Say so where a limit is about to be held on the table's machine, whose speed has changed since."""
    if limits.latency is None or limits.latency_table is None:
        return
    from betanas.profiling.calibration.answer import machine_drift

    drift = machine_drift(limits.latency_table)
    if drift is not None and abs(drift - 1.0) > ALLOWED:
        out.print(f"[yellow]{drift_words(drift)}[/yellow]", soft_wrap=True)


def drift_words(drift: float) -> str:
    """What a changed speed of the machine means, as a sentence."""
    return (
        f"This machine now takes {drift:.2f} times as long as when its latency table was made: other programs run, or "
        "its speed has changed. If it stays so, make the table anew: betanas profile --calibrate."
    )
