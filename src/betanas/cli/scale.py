"""`betanas scale`: a found network at another size, solved for a cost, and the scaling rules compared."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from betanas.cli.describe import BlocksOption, read_vector
from betanas.cli.networks import is_study, refuse_blocks, sizes_or
from betanas.cli.output import console, print_json
from betanas.cli.study import TrustOption
from betanas.errors import LimitError, StudyError, VectorError, did_you_mean
from betanas.quantities import (
    format_bytes,
    format_count,
    format_latency,
    parse_bytes,
    parse_count,
    parse_latency,
)

if TYPE_CHECKING:
    from rich.table import Table

    from betanas.spaces.scaling import CostTable, LatencySolution, Measure, Origin, ScalingRule, Solution

_PUBLISHED_AT = 224  # where the report's vectors were found
_USABLE = 0.9  # of the free memory, before a measurement that may need more than was predicted
_WRITTEN = {"params": "parameters", "macs": "MACs", "memory": "memory"}


def scale(
    network: Annotated[
        str, typer.Argument(help="A vector's JSON file, a study (its best network), a space, or a named network.")
    ],
    to_resolution: Annotated[int | None, typer.Option(help="Scale to this side, in pixels.")] = None,
    to_params: Annotated[str | None, typer.Option(help="The largest with at most these parameters: 20M.")] = None,
    to_macs: Annotated[str | None, typer.Option(help="The largest with at most these MACs an image: 2G.")] = None,
    to_memory: Annotated[str | None, typer.Option(help="The largest that trains within it, such as 20GiB.")] = None,
    to_latency: Annotated[
        str | None, typer.Option(help="The largest whose answer takes no longer, such as 5ms: measured, or by a table.")
    ] = None,
    latency_table: Annotated[
        Path | None, typer.Option(help="Predict latencies by this table of betanas profile --calibrate.")
    ] = None,
    rule: Annotated[str, typer.Option(help="self-similar, growing-k, slow-width or compound.")] = "self-similar",
    space: Annotated[str | None, typer.Option(help="The space of a vector's file; else known by its names.")] = None,
    blocks: BlocksOption = "ordinary",
    from_resolution: Annotated[
        int | None, typer.Option(help="Where the network was found: a study's own, else 224.")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Classes to tell apart: a study's own, else 100.")] = None,
    channels: Annotated[int | None, typer.Option(help="Channels of the image: a study's own, else 3.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a training step, for the memory.")] = 100,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16, for the memory.")] = "float32",
    up_to: Annotated[int, typer.Option(help="The largest side that is looked at.")] = 1024,
    growth: Annotated[float, typer.Option(help="growing-k: parameters grow like R to this power.")] = 2.0,
    width_power: Annotated[float, typer.Option(help="slow-width: the width grows like R to this power.")] = 0.5,
    alpha: Annotated[float, typer.Option(help="compound: layers for each unit of phi.")] = 1.2,
    beta: Annotated[float, typer.Option(help="compound: channels for each unit of phi.")] = 1.1,
    gamma: Annotated[float, typer.Option(help="compound: resolution for each unit of phi.")] = 1.15,
    measure_steps: Annotated[
        bool, typer.Option("--measure", help="Measure memory and time of training steps along the curve.")
    ] = False,
    measure_for: Annotated[float, typer.Option(min=0, help="Seconds after which none is begun any more.")] = 60.0,
    device: Annotated[str, typer.Option(help="Where is measured: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the curves in the study, for its report.")] = False,
    trust_files: TrustOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Scale a network to a resolution, or to the largest within a cost, and compare the scaling rules.

    Without a target, the rules are compared at the cost of the network at twice its resolution.
    """
    from betanas.cost.latency import LatencyModel
    from betanas.quantities import MIN_RESOLUTION
    from betanas.spaces.base import check_input
    from betanas.spaces.scaling import (
        LATENCY_STEP,
        Knobs,
        Origin,
        at_equal_cost,
        curve,
        make_rule,
        rules_for,
        scaling_document,
        solve,
        solve_predicted,
        tabulate,
    )

    targets = _targets(to_params, to_macs, to_memory)
    seconds = parse_latency(to_latency) if to_latency is not None else None
    if len(targets) + (to_resolution is not None) + (seconds is not None) > 1:
        raise LimitError("A network is scaled to one target.", hint="Type one of the --to- options.")
    if latency_table is not None and seconds is None:
        raise LimitError(
            "A latency table answers to a latency.", value=str(latency_table), hint="Add --to-latency 5ms."
        )
    predicts = LatencyModel.load(latency_table) if latency_table is not None else None
    if keep and not is_study(network):
        raise StudyError("Curves can be kept in a study only.", value=network, hint="Leave --keep out.")
    origin = _find_origin(
        network, space, blocks, Origin, sizes=(from_resolution, classes, channels), trust_files=trust_files
    )
    knobs = Knobs(growth=growth, width_power=width_power, alpha=alpha, beta=beta, gamma=gamma)
    chosen = make_rule(rule, origin, knobs)
    for side in (up_to, up_to if to_resolution is None else to_resolution):
        check_input(side, origin.num_classes, origin.in_channels)

    if measure_steps and dtype == "float16":
        raise LimitError("Training steps are measured in float32 or bfloat16.", value=dtype)

    rules = rules_for(origin, knobs)
    sides = range(MIN_RESOLUTION, max(up_to, to_resolution or 0) + 1)
    tables = tabulate(rules, sides, measures=("params", "macs"))
    solution: Solution | LatencySolution | None = None
    resolution: int | None = to_resolution
    for measure, target in targets.items():
        table = next(table for table in tables if table.rule == chosen.name)
        if measure == "memory":
            (table,) = tabulate([chosen], sides, measures=("memory",), batch_size=batch_size, dtype=dtype)
        solution = solve(table, measure, target)
        resolution = solution.resolution
    if seconds is not None and predicts is not None:
        solution = solve_predicted(chosen, predicts, range(LATENCY_STEP, sides[-1] + 1, LATENCY_STEP), seconds)
        resolution = solution.resolution
    elif seconds is not None:
        solution = _solve_latency(chosen, seconds, sides[-1], start=origin.resolution, device=device)
        resolution = solution.resolution
    if solution is None and resolution is None:
        resolution = min(2 * origin.resolution, sides[-1])

    reached = chosen.blueprint(resolution) if resolution is not None else None
    equal: dict[str, Sequence[Solution]] = {}
    if reached is not None:
        equal = {
            "params": at_equal_cost(tables, "params", reached.num_params),
            "macs": at_equal_cost(tables, "macs", reached.macs),
        }
    rows = curve(rules, batch_size=batch_size, dtype=dtype)
    document = scaling_document(f"{Path(network).name} from {origin.resolution} pixels", rows)
    if keep:
        from betanas.search.study import Study

        with Study.open(network, read_only=False) as study:
            study.attach("scaling", "rules", document)

    measured: list[dict[str, Any]] = []
    if measure_steps:
        of_chosen = [row for row in rows if row["rule"] == chosen.name and int(row["resolution"]) % 64 == 0]
        measured = _measure_steps(
            chosen, of_chosen, batch_size=batch_size, dtype=dtype, device=device, at_most=measure_for
        )

    network_costs = reached and {
        "resolution": reached.resolution,
        "params": reached.num_params,
        "macs": reached.macs,
        "memory": reached.training_memory(batch_size, dtype),
    }
    if as_json:
        print_json(
            {
                "network": network,
                "rule": chosen.name,
                "settings": {each.name: dict(each.settings) for each in rules},
                "from_resolution": origin.resolution,
                "batch_size": batch_size,
                "reached": network_costs,
                "solution": asdict(solution) if solution else None,
                "predicted_by": str(predicts) if predicts else None,
                "blueprint": reached.to_dict() if reached else None,
                "equal": {measure: _compared(found, tables) for measure, found in equal.items()},
                "curve": document,
                "measured": measured,
            }
        )
        return
    out = console()
    out.print(f"[bold]{Path(network).name}[/bold], found at {origin.resolution} pixels, rule {chosen.name}")
    if solution is not None:
        words = _in_words(solution) if solution.measure != "latency" else _latency_in_words(solution)
        out.print(f"  {words}", soft_wrap=True)
    if network_costs:
        out.print(
            f"  at {network_costs['resolution']} pixels: {_costs_in_words(network_costs, batch_size)}", soft_wrap=True
        )
    for name, found in equal.items():
        out.print(_equal_table(name, _compared(found, tables)))
    out.print(_curve_table([row for row in rows if row["rule"] == chosen.name], batch_size, measured))
    for row in measured:
        if row["reason"]:
            out.print(f"{row['resolution']} pixels: {row['reason']}", soft_wrap=True)


def _targets(params: str | None, macs: str | None, memory: str | None) -> dict[Measure, int]:
    targets: dict[Measure, int] = {}
    if params is not None:
        targets["params"] = parse_count(params, what="A number of parameters")
    if macs is not None:
        targets["macs"] = parse_count(macs, what="A number of MACs")
    if memory is not None:
        targets["memory"] = parse_bytes(memory)
    return targets


def _find_origin(
    name: str,
    space: str | None,
    blocks: str,
    make: type[Origin],
    *,
    sizes: tuple[int | None, int | None, int | None],
    trust_files: bool,
) -> Origin:
    from betanas.library import library_networks
    from betanas.spaces import available_spaces, get_space, published, space_with

    if is_study(name):
        refuse_blocks(blocks, name)
        from betanas.search.planning import space_of
        from betanas.search.study import Study
        from betanas.trust import check_trust

        with Study.open(name) as study:
            plan = study.plan
            check_trust(plan, trusted=trust_files, code_only=True)
            best = study.best()
        found = best.blueprint
        return make(
            space_of(plan),
            best.vector,
            *sizes_or(sizes, (found.resolution, found.num_classes, found.in_channels)),
        )
    images = sizes_or(sizes, (_PUBLISHED_AT, 100, 3))
    if Path(name).is_file() or name == "-":
        vector = read_vector(Path(name))
        return make(get_space(space or space_with(vector), blocks=blocks), vector, *images)
    if name in available_spaces():
        return make(get_space(name, blocks=blocks), published(name), *images)
    if (named := library_networks().get(name)) is not None:
        refuse_blocks(blocks, name)
        found = named.blueprint
        return make(
            get_space(named.space, blocks=named.blocks),
            named.vector,
            *sizes_or(sizes, (found.resolution, found.num_classes, found.in_channels)),
        )
    known = (*available_spaces(), *library_networks())
    raise VectorError(
        "A network to scale must be a vector's JSON file, a study's directory, a space or a named network.",
        value=name,
        hint=did_you_mean(name, known, f"The names are {', '.join(known)}."),
    )


def _compared(found: Sequence[Solution], tables: Sequence[CostTable]) -> list[dict[str, Any]]:
    rows = []
    for solution, table in zip(found, tables, strict=True):
        place = None if solution.resolution is None else solution.resolution - int(table.resolutions[0])
        costs: dict[str, int | None] = {
            measure: None if place is None else int(values[place]) for measure, values in table.costs.items()
        }
        rows.append({"rule": solution.rule, "ending": solution.ending, "resolution": solution.resolution, **costs})
    return rows


def _amount(measure: Measure, value: int) -> str:
    return format_bytes(value) if measure == "memory" else f"{format_count(value)} {_WRITTEN[measure]}"


def _in_words(solution: Solution) -> str:
    target, cost = _amount(solution.measure, solution.target), _amount(solution.measure, solution.cost)
    if solution.ending == "unreachable":
        return f"not reachable within {target}: the least that any resolution costs is {cost}"
    if solution.ending == "bounded":
        return f"{solution.resolution} pixels, the most that was looked at, cost {cost}; --up-to looks further"
    assert solution.next_cost is not None  # noqa: S101 - so it is where a target was reached: narrows the type
    words = (
        f"{solution.resolution} pixels is the most within {target}: {cost}; "
        f"one pixel more costs {_amount(solution.measure, solution.next_cost)}"
    )
    return words + (f" ({solution.gaps} smaller resolutions cost more than the target)" if solution.gaps else "")


def _latency_in_words(solution: LatencySolution) -> str:
    target, cost = format_latency(solution.target), format_latency(solution.cost)
    tried = f"{len(solution.measured)} sides measured" if solution.measured else "predicted"
    if solution.ending == "unreachable":
        return f"not reachable within {target}: the smallest network takes {cost} an answer ({tried})"
    if solution.ending == "bounded":
        return (
            f"{solution.resolution} pixels, the most that was looked at, take {cost} ({tried}); --up-to looks further"
        )
    assert solution.next_cost is not None  # noqa: S101 - so it is where a target was reached: narrows the type
    more = "cannot be run" if solution.next_cost == math.inf else f"take {format_latency(solution.next_cost)}"
    return (
        f"{solution.resolution} pixels is the most within {target}: {cost} an answer; "
        f"{solution.next_resolution} {more} ({tried})"
    )


def _costs_in_words(costs: dict[str, int], batch_size: int) -> str:
    return (
        f"{_amount('params', costs['params'])}, {_amount('macs', costs['macs'])} an image, "
        f"{_amount('memory', costs['memory'])} to train at batch {batch_size}"
    )


def _table(title: str, headings: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    return table


def _equal_table(measure: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = _table(f"At equal {_WRITTEN[measure]}", ("Rule", "Side", "Parameters", "MACs"))
    for row in rows:
        if row["resolution"] is None:
            table.add_row(row["rule"], "-", "-", "-")
            continue
        side = f"{row['resolution']}+" if row["ending"] == "bounded" else str(row["resolution"])
        table.add_row(row["rule"], side, format_count(row["params"]), format_count(row["macs"]))
    return table


def _curve_table(rows: Sequence[dict[str, Any]], batch_size: int, measured: Sequence[dict[str, Any]]) -> Table:
    headings = ("Side", "Parameters", "MACs", f"Memory, batch {batch_size}")
    table = _table("From small to large images", headings + (("Measured", "Step") if measured else ()))
    found = {row["resolution"]: row for row in measured if row["step_seconds"] is not None}
    for row in rows:
        if row["resolution"] % 64 == 0:
            cells = [format_count(row["params"]), format_count(row["macs"]), format_bytes(row["memory"])]
            if measured:
                step = found.get(row["resolution"])
                cells += (
                    [format_bytes(step["memory"]), format_latency(step["step_seconds"]["median"])]
                    if step
                    else ["-"] * 2
                )
            table.add_row(str(row["resolution"]), *cells)
    return table


def _solve_latency(rule: ScalingRule, target: float, up_to: int, *, start: int, device: str) -> LatencySolution:
    from betanas.profiling import Conditions, Subject, measure_inference
    from betanas.spaces.scaling import LATENCY_STEP, solve_latency
    from betanas.training.device import resolve_device

    # Few calls: the median of these, where one is slow enough to matter, is steadier than the machine.
    conditions = Conditions(resolve_device(device), warm_up=2, repeats=15, at_most=3.0, energy_seconds=0.0)

    def measure(side: int) -> float:
        subject = Subject.of_blueprint(str(side), rule.blueprint(side))
        timing = measure_inference(subject, conditions).timing
        if timing is not None and timing.least <= target < timing.median:
            # Some calls were quick enough: whether it was the network or another program is seen by asking again.
            again = measure_inference(subject, conditions).timing
            timing = timing if again is None or timing.median < again.median else again
        return timing.median if timing else math.inf

    sides = range(LATENCY_STEP, up_to + 1, LATENCY_STEP)
    return solve_latency(rule.name, measure, sides, target, start=start)


def _measure_steps(
    rule: ScalingRule,
    rows: Sequence[dict[str, Any]],
    *,
    batch_size: int,
    dtype: str,
    device: str,
    at_most: float,
) -> list[dict[str, Any]]:
    """Training steps of a rule's networks, from small to large, as far as memory and time reach."""
    import psutil

    from betanas.profiling import Conditions, Subject, measure_training
    from betanas.training.device import free_memory, resolve_device
    from betanas.training.recipe import load_recipe

    place, recipe = resolve_device(device), load_recipe("fast").with_settings(dtype=dtype)
    free = min(free_memory(place), math.inf if place.type == "cuda" else psutil.virtual_memory().available)
    started, measured = time.perf_counter(), []
    for row in rows:
        entry: dict[str, Any] = {"resolution": row["resolution"], "memory": None, "step_seconds": None, "reason": ""}
        measured.append(entry)
        left = at_most - (time.perf_counter() - started)
        if row["memory"] > _USABLE * free:
            entry["reason"] = f"not measurable here: {format_bytes(free)} of memory are free"
        elif left <= 0:
            entry["reason"] = f"not measured: the {at_most:g} seconds were over; --measure-for allows more"
        else:
            conditions = Conditions(place, warm_up=1, repeats=5, at_most=left / 4, energy_seconds=0.0)
            subject = Subject.of_blueprint(str(row["resolution"]), rule.blueprint(row["resolution"]))
            found = measure_training(subject, conditions, recipe, batch_size=batch_size)
            step = asdict(found.timing) if found.timing else None
            entry |= {"memory": found.memory, "step_seconds": step, "reason": found.reason}
        if entry["reason"]:
            break  # larger networks need more of what was missing
    return measured
