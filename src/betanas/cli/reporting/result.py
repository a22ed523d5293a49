"""What a finished search shows: the winner's architecture, its accuracy, and where the study is."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from betanas.cli.answer import show_answer
from betanas.cli.output import cost_line, layer_table, shown, vector_line
from betanas.quantities import format_bytes, format_count, format_latency, format_seconds
from betanas.search.beaten import beside_baselines
from betanas.search.comparable import comparable
from betanas.search.records import TrialRecord
from betanas.search.study import Study


def show_result(out: Console, study: Study, status: dict[str, Any]) -> None:
    """Print how a study ended."""
    if study.is_comparison:
        from betanas.cli.compare import comparison_table

        out.print(comparison_table(study.compared(), width=out.width))
        return
    counts, plan = status["trials"], study.plan
    out.print(
        f"{counts['completed']} of {counts['planned']} trials completed in {format_seconds(status['wall_seconds'])}, "
        f"of which {format_seconds(status['training_seconds'])} training."
    )
    if status["best"] is None:
        out.print("No trial has completed yet.")
        return
    best = study.best()
    accuracies = [record.top1 for record in comparable(study.trials()) if record.top1 is not None]
    out.print()
    out.print(layer_table(best.blueprint, title=f"The best network, trial {best.trial}"))
    out.print(cost_line(best.blueprint, plan.batch_size))
    show_answer(out, best.blueprint, plan.limits)
    out.print(vector_line(best.vector))
    out.print()
    out.print(
        f"[bold green]{best.accuracy:.2%}[/bold green] validation accuracy after "
        f"{plan.training.budget.part(best.share)} of training "
        f"(median of all trials trained as long {statistics.median(accuracies):.2%})"
    )
    if status["advice"]:
        out.print(f"[yellow]{status['advice']}[/yellow]")
    observed = status["best"]
    if words := beside_baselines(observed["accuracy"], observed["params"], study.baselines()):
        out.print(words)
    if status["bounds"]:
        out.print(f"[yellow]{shown(status['bounds'])}[/yellow]", soft_wrap=True)
    if front := study.front():
        out.print(front_table(front, study.latencies(front)))
    typed = shown(shlex.quote(study.location))
    out.print(f"Study: {shown(study.location)}   (betanas status, best, resume {typed})", soft_wrap=True)


def front_table(front: Sequence[TrialRecord], latencies: Mapping[int, float]) -> Table:
    """The trials of a Pareto front, cheapest first; with their predicted seconds, where there are any."""
    table = Table(title="No trial beats these in both", title_justify="left", header_style="bold", pad_edge=False)
    predicted = ("Predicted time",) if latencies else ()
    for heading in ("Trial", "Accuracy", "Parameters", "Multiply-accumulates", "Memory", *predicted):
        table.add_column(heading, justify="right")
    for record in front:
        table.add_row(
            str(record.index),
            f"{record.top1 or 0.0:.2%}",
            format_count(record.params),
            format_count(record.macs),
            format_bytes(record.memory),
            *([format_latency(latencies[record.index])] if latencies else []),
        )
    return table
