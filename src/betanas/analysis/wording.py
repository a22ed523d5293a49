"""A study in words and in tables for a reader: what the report and the notebook print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from betanas.analysis.errors import AnalysisError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.confirmation import ConfirmationRow, Winner, confirmation_table, winner
from betanas.analysis.tables.history import StudyTotals, leaders, outcomes, totals
from betanas.analysis.tables.layers import layer_table
from betanas.analysis.tables.noise import noise
from betanas.blueprint import Blueprint
from betanas.quantities import format_bytes, format_count, format_latency, format_seconds
from betanas.search.beaten import beside_baselines
from betanas.search.bounds import end_met, on_bounds
from betanas.search.chance import guessing, little_seen, median_epochs
from betanas.search.comparable import partly_trained
from betanas.search.damaged import left_out
from betanas.search.records import TrialRecord
from betanas.spaces import available_spaces, get_space

NONE = "\N{EN DASH}"

# Heads a latency table's predictions.
PREDICTED_ANSWER = "Answer (predicted)"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table for reading: headings, cells as text, and which columns hold numbers (and are aligned to the right)."""

    caption: str
    headings: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]


def cell_text(value: object) -> str:
    """A value for a reader: a dash for nothing, four digits for a real number, thousands separated."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def grid(rows: Sequence[Mapping[str, Any]], caption: str) -> Grid:
    """Rows as a table for reading; a column is numeric where every cell starts with a digit, or holds nothing."""
    headings = tuple(rows[0]) if rows else ()
    cells = tuple(tuple(cell_text(row[heading]) for heading in headings) for row in rows)
    numeric = tuple(
        all(row[column] == NONE or row[column].lstrip("-+").strip()[:1].isdigit() for row in cells)
        for column in range(len(headings))
    )
    return Grid(caption, headings, cells, numeric)


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return NONE if value is None else f"{100 * value:.2f}%"


def count_text(value: float | None) -> str:
    """A number of parameters or multiply-accumulates."""
    return NONE if not value else format_count(value)


def bytes_text(value: float | None) -> str:
    """A number of bytes."""
    return NONE if not value else format_bytes(value)


def seconds_text(value: float | None) -> str:
    """A duration."""
    return NONE if value is None else format_seconds(value)


def of_trials(number: int) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number:,} trial{'' if number == 1 else 's'}"


def subject(snapshot: StudySnapshot) -> str:
    """What was searched or compared, on what."""
    what = "networks" if snapshot.compared else snapshot.plan.search.space_title
    return f"{what} on {snapshot.plan.data.source}"


def summary(snapshot: StudySnapshot) -> tuple[str, ...]:
    """The study in a few sentences."""
    sentences = _compared_summary(snapshot) if snapshot.compared else _searched_summary(snapshot)
    damaged = left_out(snapshot.damaged)
    return (*sentences, f"{damaged[0].upper()}{damaged[1:]}.") if damaged else sentences


def _compared_summary(snapshot: StudySnapshot) -> tuple[str, ...]:
    names = list(dict.fromkeys(trial.name for trial in snapshot.trials))
    states = Counter(trial.state for trial in snapshot.trials)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return (f"Trained side by side: {', '.join(names)}.", f"Of {len(snapshot.trials)} trainings: {counts}.")


def _searched_summary(snapshot: StudySnapshot) -> tuple[str, ...]:
    plan, counted = snapshot.plan, totals(snapshot)
    space = plan.search.space_title
    sentences = [
        f"This study searched the space {space} ({len(snapshot.ranges)} parameters) for networks that classify "
        f"{plan.data.source} ({len(plan.classes)} classes) at {plan.resolution} x {plan.resolution} pixels, with "
        f"{plan.training.budget} of training for each candidate.",
        _outcome_sentence(counted, snapshot.state),
    ]
    best, measure = snapshot.best, snapshot.measure
    if best is None:
        return (*sentences, "No trial has completed, so there is no winner yet.")
    advice, won = guessing(plan, snapshot.trials), _winner(snapshot)
    words = (
        f"{'The best' if won is None or won.confirmed is None else 'In the search the best'} is trial {best.index}, "
    )
    words += f"suggested by {best.origin}: {measure.label[0].lower() + measure.label[1:]} "
    words += measure.text(best.objective or 0.0)
    words += f" after {format_seconds(best.training_seconds)} of training" if best.training_seconds else ""
    words += (
        f", with {format_count(best.params)} parameters and {format_count(best.macs)} multiply-accumulates an image"
    )
    quick = snapshot.latencies.get(best.index)
    words += f"; predicted to answer in {format_latency(quick)}." if quick is not None else "."
    sentences.append(advice or words)
    if not advice and (little := little_seen(plan, snapshot.trials)):
        sentences.append(little)
    sentences += [said] if (said := partly_trained(best)) else []
    unit = "points" if measure.unit == "%" else "units"
    if counted.median is not None and counted.usable > 2 and best.objective is not None and not advice:
        gap = (best.objective - counted.median) * measure.scale
        sentences.append(f"That is {gap:.2f} {unit} above the median of the {counted.usable:,} usable trials.")
    if best.top1 is not None and (beside := beside_baselines(best.top1, best.params, snapshot.baselines)):
        sentences.append(beside)
    if won is not None and won.confirmed is not None:
        count = sum(row.mean is not None for row in _confirmed(snapshot))
        sentences.append(
            f"Of {count} candidates trained again with fresh seeds, {won.label} has the best mean accuracy: "
            f"{percent(won.confirmed.mean)} ({won.confirmed.words(percent)}). It is the winner."
        )
    if not advice and (said := on_bounds(plan, snapshot.trials)):
        sentences.append(said)
    elif not advice and won is not None and (bounds := at_bounds(snapshot, won.vector)):
        sentences.append(
            f"The winner lies at the end of the searched range of {', '.join(bounds)}. A better network may lie beyond "
            f"it: search again with wider ranges, for example --range {bounds[0].split()[0]}=LOW:HIGH."
        )
    spread = noise(snapshot)
    if spread.pooled is not None:
        sentences.append(
            f"Trained again, the same network varies by {spread.pooled * measure.scale:.2f} {unit} (standard deviation "
            f"of one training, {spread.degrees} degrees of freedom): smaller differences between trials say nothing."
        )
    return tuple(sentences)


def at_bounds(snapshot: StudySnapshot, vector: Mapping[str, float]) -> list[str]:
    """The searched parameters in which a vector lies at an end of the range (within a hundredth of it), with values."""
    return [
        f"{name} ({vector[name]:.3g})"
        for name, searched in snapshot.ranges.items()
        if end_met(searched, vector[name], within=0.01)
    ]


def _winner(snapshot: StudySnapshot) -> Winner | None:
    """The network the study ends in; None before one has completed, or where a confirmation is damaged."""
    try:
        return winner(snapshot)
    except AnalysisError:
        return None


def _confirmed(snapshot: StudySnapshot) -> tuple[ConfirmationRow, ...]:
    """The confirmed candidates; none where a confirmation is missing or damaged (its figure says so)."""
    try:
        return confirmation_table(snapshot).rows
    except AnalysisError:
        return ()


def _outcome_sentence(counted: StudyTotals, state: str) -> str:
    parts = [f"{counted.usable:,} gave a result"]
    parts += [
        f"{number:,} {what}"
        for number, what in (
            (counted.partly, "were trained for less of the budget"),
            (counted.infeasible, "were infeasible"),
            (counted.failed, "failed"),
            (counted.running, "are still running"),
        )
        if number
    ]
    time = f"; {format_seconds(counted.training_seconds)} of training in all" if counted.training_seconds else ""
    planned = "" if counted.planned is None else f" ({counted.planned:,} planned)"
    text = f"Of {of_trials(counted.trials)}{planned}, {', '.join(parts)}{time}."
    return text if state == "finished" else f"{text} The study is {state}."


def key_numbers(snapshot: StudySnapshot) -> tuple[tuple[str, str], ...]:
    """The few numbers that a reader looks for first, as (name, value)."""
    if snapshot.compared:
        ended = sum(trial.ended is not None for trial in snapshot.trials)
        spent = sum(trial.training_seconds or 0.0 for trial in snapshot.trials)
        trainings = f"{ended:,} of {len(snapshot.trials):,}"
        return (("Trainings", trainings), ("Training time", seconds_text(spent)), ("State", snapshot.state))
    counted, best, won = totals(snapshot), snapshot.best, _winner(snapshot)
    numbers = []
    if won is not None and won.confirmed is not None:
        network = won.blueprint
        numbers += [("Winner", won.label), ("Mean accuracy", percent(won.confirmed.mean))]
        numbers += [("Parameters", count_text(network.num_params)), ("Multiply-accumulates", count_text(network.macs))]
    elif best is not None:
        numbers += [("Best", snapshot.measure.text(best.objective or 0.0))]
        numbers += [("Parameters", count_text(best.params)), ("Multiply-accumulates", count_text(best.macs))]
    named = won.trial if won is not None and won.confirmed is not None else best.index if best is not None else None
    if named is not None and named in snapshot.latencies:
        numbers += [(PREDICTED_ANSWER, format_latency(snapshot.latencies[named]))]
    epochs = median_epochs(snapshot.trials)
    numbers += [("Usable trials", f"{counted.usable:,} of {counted.trials:,}")]
    numbers += [("Epochs a trial", f"{epochs:.3g}")] if epochs is not None else []
    numbers += [("Training time", seconds_text(counted.training_seconds))]
    return (*numbers, ("State", snapshot.state))


def trial_facts(trial: TrialRecord, latency: float | None = None) -> tuple[tuple[str, str], ...]:
    """What a trial's record says, as (name, value), without its vector and curve.

    Args:
        trial: the record.
        latency: seconds of an answer as predicted; None where they are not known.
    """
    facts = [
        ("State", trial.state + (f" ({trial.cause})" if trial.cause else "")),
        ("Reason", trial.reason),
        ("Suggested by", trial.origin),
        ("Part of the budget", f"{trial.share:.3g}"),
        ("Objective", NONE if trial.objective is None else f"{trial.objective:.4f}"),
        ("Top-1", percent(trial.top1)),
        ("Top-5", percent(trial.top5)),
        ("Parameters", count_text(trial.params)),
        ("Multiply-accumulates", count_text(trial.macs)),
        (PREDICTED_ANSWER, NONE if latency is None else format_latency(latency)),
        ("Predicted memory", bytes_text(trial.memory)),
        ("Measured memory", bytes_text(trial.peak_memory)),
        ("Training time", seconds_text(trial.training_seconds)),
        ("Wall time", seconds_text(trial.wall_seconds)),
        ("Images per second", NONE if trial.images_per_second is None else f"{trial.images_per_second:,.0f}"),
        ("Device", trial.device),
        ("Seed", str(trial.seed)),
        ("Attempts", str(trial.attempts)),
        ("Repeats trial", NONE if trial.repeat_of is None else str(trial.repeat_of)),
    ]
    return tuple((name, value) for name, value in facts if value not in ("", NONE))


def layer_grid(blueprint: Blueprint) -> Grid:
    """The layers as Tables A1 to A4 print them."""
    rows = [
        {name: f"{value:.2f}" if isinstance(value, float) else value for name, value in row.items()}
        for row in layer_table(blueprint)
    ]
    latent = f"A 1x1 convolution to {blueprint.latent:,} channels, a" if blueprint.latent else "A"
    caption = (
        f"Layers of the network at {blueprint.resolution} x {blueprint.resolution} pixels; equal neighbours "
        f"are one row. {latent}verage pooling and a linear layer to {blueprint.num_classes:,} classes follow."
    )
    return grid(rows, caption)


def leader_grid(snapshot: StudySnapshot, count: int = 10) -> Grid:
    """The best trials."""
    measure = snapshot.measure
    heading = "Top-1 (%)" if measure.unit == "%" else "Objective"
    rows = [
        {
            "Rank": row.rank,
            "Trial": row.index,
            "Origin": row.origin,
            heading: f"{row.objective * measure.scale:.2f}",
            "Parameters": count_text(row.params),
            "MACs": count_text(row.macs),
            **({} if row.latency is None else {PREDICTED_ANSWER: format_latency(row.latency)}),
            "Training": seconds_text(row.training_seconds),
            "Peak memory": bytes_text(row.peak_memory),
        }
        for row in leaders(snapshot, count)
    ]
    return grid(rows, f"The best {len(rows)} distinct networks.")


def vector_grid(snapshot: StudySnapshot, vectors: Mapping[str, Mapping[str, float]]) -> Grid:
    """Parameter vectors beside the searched ranges, and what the parameters decide where their space says so."""
    space = snapshot.plan.search.space
    meanings = get_space(space).meanings if space in available_spaces() else {}
    rows = [
        {
            "Parameter": name,
            "Searched range": str(searched) if searched.fixed else f"{searched.low:g} to {searched.high:g}",
            **{label: f"{vector[name]:.4f}" for label, vector in vectors.items()},
            **({"What it decides": meanings.get(name, NONE)} if meanings else {}),
        }
        for name, searched in snapshot.ranges.items()
    ]
    return grid(rows, "Parameters of the winner and what the model expects to be best, beside the searched ranges.")


def outcome_grid(snapshot: StudySnapshot) -> Grid:
    """How the trials ended."""
    rows = [
        {
            "Origin": row.origin,
            "State": row.state,
            "Cause": row.cause or NONE,
            "Trials": row.trials,
            "For example": row.example or NONE,
        }
        for row in outcomes(snapshot)
    ]
    return grid(rows, "How the trials ended, by what suggested them.")


def failure_grid(snapshot: StudySnapshot, most: int = 20) -> Grid:
    """The trials that failed, with their reasons."""
    failed = [trial for trial in snapshot.trials if trial.state == "failed"]
    rows = [
        {"Trial": trial.index, "Cause": trial.cause or NONE, "Attempts": trial.attempts, "Reason": trial.reason or NONE}
        for trial in failed[:most]
    ]
    first = f"the first {most} of " if len(failed) > most else ""
    return grid(rows, f"What failed: {first}{of_trials(len(failed))}.")


def plan_facts(snapshot: StudySnapshot) -> tuple[tuple[str, str], ...]:
    """What was to be done, as (name, value)."""
    plan = snapshot.plan
    if snapshot.compared:
        return (
            ("Data", f"{plan.data.source} (fingerprint {plan.data_fingerprint})"),
            ("Recipe of the first training", f"{plan.training.recipe}: {_listed(plan.recipe_settings)}"),
            ("Devices", ", ".join(dict.fromkeys(each.device for each in snapshot.trials if each.device)) or NONE),
        )
    limits = [
        f"{name} at most {text(value)}"
        for name, value, text in (
            ("parameters", plan.limits.params, count_text),
            ("multiply-accumulates", plan.limits.macs, count_text),
            ("training memory", plan.limits.memory, bytes_text),
            ("predicted time of an answer", plan.limits.latency, format_latency),
        )
        if value is not None
    ]
    limits += [f"parameters at most {count_text(most)} at R={side}" for side, most in plan.limits.lookahead]
    facts = [
        ("Space", f"{plan.search.space_title}, preset {plan.search.preset}"),
        ("Data", f"{plan.data.source} (fingerprint {plan.data_fingerprint}), {len(plan.classes)} classes"),
        (
            "Images",
            f"{plan.resolution} x {plan.resolution} pixels, {plan.in_channels} channels, batches of {plan.batch_size}",
        ),
        ("Budget of a trial", str(plan.training.budget)),
        ("Recipe", f"{plan.training.recipe}: {_listed(plan.recipe_settings)}"),
        ("Strategy", plan.search.strategy),
        ("Objective", str(plan.search.objective)),
        ("Seed", str(plan.search.seed)),
        ("Limits", "; ".join(limits) or "none"),
        *((("Latency table", str(plan.limits.latency_table)),) if plan.limits.latency_table else ()),
        ("Machine", _listed({name: value for name, value in plan.machine.to_document().items() if value})),
    ]
    devices = list(dict.fromkeys(trial.device for trial in snapshot.trials if trial.device))
    return (*facts, ("Devices", ", ".join(devices) or NONE))


def session_grid(snapshot: StudySnapshot) -> Grid:
    """The processes that searched."""
    rows = [
        {
            "Session": one.index,
            "Started (UTC)": f"{one.started:%Y-%m-%d %H:%M:%S}",
            "Ended (UTC)": f"{one.ended:%Y-%m-%d %H:%M:%S}" if one.ended else NONE,
            "Ending": one.ending or "no sign of life after " + f"{one.seen:%Y-%m-%d %H:%M:%S}",
            "Host": one.host,
            "Command": one.command,
        }
        for one in snapshot.sessions
    ]
    return grid(rows, "The sessions of the search. One without an end was cut off, or is still running.")


def environment_grid(snapshot: StudySnapshot) -> Grid:
    """Hardware and versions, a column a session where they differ."""
    sessions = {f"Session {one.index}": {**one.hardware, **one.versions} for one in snapshot.sessions}
    distinct: dict[str, dict[str, str]] = {}
    for name, facts in sessions.items():
        if facts not in distinct.values():
            distinct[name] = facts
    keys = dict.fromkeys(key for facts in distinct.values() for key in facts)
    rows = [{"": key, **{name: facts.get(key) for name, facts in distinct.items()}} for key in keys]
    return grid(rows, "Hardware and versions; sessions that are not listed ran on the same as the one before them.")


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
