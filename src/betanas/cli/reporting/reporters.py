"""Reporters: listeners that show a search. `LiveReporter` redraws a panel, `PlainReporter` prints a line an event."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.status import Status
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from betanas.cli.output import shown
from betanas.cli.reporting.listed import reached, training_of
from betanas.cli.reporting.tally import RunningTrial, Tally
from betanas.quantities import format_count, format_seconds
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan, TrialRecord
from betanas.training.result import CurvePoint, TrialResult

# Redrawing costs the processor time that a trial beside it trains with.
_FRAMES_PER_SECOND = 2

# Fewer images than this are read before a person wonders what is happening.
_MANY_IMAGES = 1_000


class Reporter(SearchListener):
    """What both reporters share: the tally, and where the study is.

    Attributes:
        location: the study's place, once the search has begun; empty before.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.location = ""
        self._tally: Tally | None = None
        self._reading: Status | None = None

    @override
    def on_begin(self, plan: StudyPlan, records: Sequence[TrialRecord], *, location: str, capacity: int) -> None:
        if self._reading is not None:
            self._reading.stop()
        self.location = location
        self._tally = Tally(plan)
        self._tally.begin(records, capacity)

    @override
    def on_images_read(self, done: int, total: int) -> None:
        if total >= _MANY_IMAGES and self._reading is None:
            self._reading = self.console.status("")
            self._reading.start()
        if self._reading is not None:
            self._reading.update(f"reading {done:,} of {total:,} images (the next search finds them ready)")

    @override
    def on_trial_started(self, record: TrialRecord) -> None:
        if self._tally and record.purpose == "search":
            self._tally.start(record)

    @override
    def on_point(self, record: TrialRecord, point: CurvePoint) -> None:
        if self._tally:
            self._tally.point(record.index, point)

    @override
    def on_note(self, text: str) -> None:
        self._say("note:", text)

    @override
    def on_trial_retried(self, record: TrialRecord, result: TrialResult) -> None:
        self._say(f"trial {record.index} is tried again:", result.reason)

    def _say(self, heading: str, text: str) -> None:
        # A worker's last words may hold anything, square brackets too: they are shown, never read as markup.
        self.console.print(Text.assemble((heading, "yellow"), " ", text))

    def _advise(self) -> None:
        if self._tally and (advice := self._tally.advice()):
            self.on_note(advice)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._reading is not None:
            self._reading.stop()


class PlainReporter(Reporter):
    """A line for each trial: for logs, pipes and continuous integration."""

    @override
    def on_begin(self, plan: StudyPlan, records: Sequence[TrialRecord], *, location: str, capacity: int) -> None:
        super().on_begin(plan, records, location=location, capacity=capacity)
        going_on = f", going on after {self._tally.done} trials" if self._tally and records else ""
        self.console.print(f"{shown(headline(plan))}; study {shown(location)}{going_on}", soft_wrap=True)

    @override
    def on_trial_ended(self, record: TrialRecord) -> None:
        if self._tally is None or record.purpose != "search":
            self._say(f"{training_of(record)}:", reached(record))
            return
        is_best = self._tally.end(record)
        left = self._tally.seconds_left
        clock = datetime.now().astimezone().strftime("%H:%M:%S")
        progress = f"{self._tally.done}/{self._tally.planned or '?'}"
        remaining = f", about {format_seconds(left)} left" if left else ""
        self.console.print(
            f"{clock} [{progress}] {trial_line(self._tally.records[record.index])}{' *best*' * is_best}{remaining}",
            soft_wrap=True,
            markup=False,
        )
        self._advise()


class LiveReporter(Reporter):
    """A panel that is redrawn: progress, current trials, the best so far against the median, time left."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live: Live | None = None
        self._doing = "loading the data"

    @override
    def on_begin(self, plan: StudyPlan, records: Sequence[TrialRecord], *, location: str, capacity: int) -> None:
        super().on_begin(plan, records, location=location, capacity=capacity)
        self._live = Live(
            get_renderable=self.render,
            console=self.console,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
        )
        self._live.start()

    @override
    def on_workers_ready(self, device: str) -> None:
        self._doing = f"training on {device}"

    @override
    def on_suggesting(self) -> None:
        if self._tally and not self._tally.running:
            self._doing = "choosing the next network"

    @override
    def on_trial_started(self, record: TrialRecord) -> None:
        super().on_trial_started(record)
        self._doing = "training" if record.purpose == "search" else f"training {record.name}, to compare with"

    @override
    def on_trial_ended(self, record: TrialRecord) -> None:
        if self._tally is None or record.purpose != "search":
            self._say(f"{training_of(record)}:", reached(record))
            return
        if self._tally.end(record) or record.state == "failed":
            style = "red" if record.state == "failed" else "green"
            self.console.print(Text(trial_line(self._tally.records[record.index]), style=style))
        self._advise()

    @override
    def on_end(self, ending: str, reason: str) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""
        super().close()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def render(self) -> RenderableType:
        """The panel as it stands now."""
        tally = self._tally
        if tally is None:
            return Text("")
        rows: list[RenderableType] = [Text(headline(tally.plan), style="dim"), _progress(tally)]
        rows += [_running_line(trial, tally.plan) for trial in tally.running.values()] or [
            Text(self._doing, style="dim")
        ]
        best, median = tally.best, tally.median
        if best is not None and best.top1 is not None and median is not None:
            line = Text("best     ")
            line.append(f"{best.top1:.2%}", style="bold green")
            line.append(f"  trial {best.index}, {format_count(best.params)} parameters")
            line.append(f", {100 * (best.top1 - median):+.2f} points against the median of {median:.2%}")
            rows += [
                line,
                Text("history  " + tally.sparkline(max(self.console.width - 16, 10)), style="cyan"),
            ]
        return Panel(Group(*rows), title=f"betanas  {shown(self.location)}", title_align="left", border_style="blue")


def make_reporter(console: Console) -> Reporter:
    """The reporter that fits where the output goes."""
    return LiveReporter(console) if console.is_terminal and not console.is_dumb_terminal else PlainReporter(console)


def headline(plan: StudyPlan) -> str:
    """What is searched, in one line."""
    time = plan.search.time or plan.search.training_time
    return (
        f"{plan.search.space_title} on {plan.data.source}, {len(plan.classes)} classes, "
        f"{plan.resolution}x{plan.resolution}, {plan.training.budget} a trial, {plan.search.strategy}"
        + (f", {time} in all" if time else "")
    )


def trial_line(record: TrialRecord) -> str:
    """A trial that has ended, in one line."""
    size = f"{format_count(record.params)} parameters"
    where = f"trial {record.index} ({record.origin}, {size})"
    if record.state == "completed" and record.repeat_of is not None:
        return f"{where}: {record.top1 or 0.0:.2%}, the same network as trial {record.repeat_of}"
    if record.state in ("completed", "stopped") and record.top1 is not None:
        epochs = f" after {record.curve[-1].epoch:.3g} epochs" if record.curve else ""
        part = f" ({record.share:.3g} of the budget)" if record.share < 1.0 else ""
        return f"{where}: {record.top1:.2%}{epochs}{part}{' (stopped early)' * (record.state == 'stopped')}"
    return f"{where}: {record.state}: {record.reason}"


def _progress(tally: Tally) -> RenderableType:
    counts = tally.counts
    extras = [f"{counts[state]} {state}" for state in ("stopped", "infeasible", "failed") if counts[state]]
    left = tally.seconds_left
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_row(
        tally.progress + (f" ({', '.join(extras)})" if extras else ""),
        ProgressBar(total=tally.planned or max(tally.done, 1), completed=tally.done),
        f"about {format_seconds(left)} left" if left is not None else "",
    )
    return grid


def _running_line(trial: RunningTrial, plan: StudyPlan) -> Text:
    record = trial.record
    budget = plan.training.budget.part(record.share)
    line = Text(f"trial {record.index:<4}", style="bold")
    line.append(f"{record.origin}, {format_count(record.params)} parameters", style="not bold")
    if trial.point is not None:
        used = {"seconds": trial.point.seconds, "steps": trial.point.step, "epochs": trial.point.epoch}[budget.unit]
        line.append(
            f", {min(used / budget.amount, 1.0):.0%} of its budget, {trial.point.accuracy:.2%}",
            style="not bold",
        )
    else:
        line.append(f", started {format_seconds(time.monotonic() - trial.since)} ago", style="not bold")
    return line
