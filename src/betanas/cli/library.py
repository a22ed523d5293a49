"""`betanas networks`: the library of named networks."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from betanas.blocks import space_title
from betanas.cli.output import console, cost_line, layer_table, print_json, vector_line
from betanas.cli.study import JsonOption
from betanas.quantities import format_count

if TYPE_CHECKING:
    from betanas.library import LibraryNetwork, Weights

_BATCH = 100  # the report's (Table 2)


def networks(
    name: Annotated[str | None, typer.Argument(help="Show this one in full; without it, all are listed.")] = None,
    blueprint: Annotated[
        bool, typer.Option("--blueprint", help="Print the network's blueprint alone, for a file.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the networks that have names: how each was found, which have weights, how to make one again."""
    from betanas.errors import BlueprintError
    from betanas.library import find_named, library_networks

    if name is None:
        if blueprint:
            raise BlueprintError("A blueprint is that of one network.", hint="Type: betanas networks NAME --blueprint")
        found = library_networks()
        if as_json:
            print_json({"networks": [_document(network) for network in found.values()]})
        else:
            _print_table(list(found.values()))
        return
    network = find_named(name)
    if blueprint:
        sys.stdout.write(network.blueprint.to_json(indent=2) + "\n")
    elif as_json:
        print_json(_document(network) | {"blueprint": network.blueprint.to_dict()})
    else:
        _print_network(network)


def _document(network: LibraryNetwork) -> dict[str, Any]:
    blueprint, weights = network.blueprint, network.weights
    return {
        "name": network.name,
        "space": network.space,
        "blocks": network.blocks,
        "vector": dict(network.vector),
        "resolution": blueprint.resolution,
        "num_classes": blueprint.num_classes,
        "in_channels": blueprint.in_channels,
        "params": blueprint.num_params,
        "macs": blueprint.macs,
        "found": network.found,
        "remake": network.remake,
        "weights": asdict(weights) | {"path": weights.path.name} if weights else None,
    }


def _print_table(found: list[LibraryNetwork]) -> None:
    from rich.table import Table

    table = Table(header_style="bold", pad_edge=False)
    table.add_column("Network", no_wrap=True)
    for heading in ("Side", "Classes", "Parameters", "MACs"):
        table.add_column(heading, justify="right")
    table.add_column("Weights")
    for network in found:
        blueprint = network.blueprint
        table.add_row(
            network.name,
            str(blueprint.resolution),
            str(blueprint.num_classes),
            format_count(blueprint.num_params),
            format_count(blueprint.macs),
            _weights_in_words(network.weights),
        )
    console().print(table)


def _print_network(network: LibraryNetwork) -> None:
    out = console()
    title = f"{network.name}: {network.blueprint.resolution} pixels, {network.blueprint.num_classes} classes"
    out.print(layer_table(network.blueprint, title=title))
    out.print(cost_line(network.blueprint, _BATCH))
    out.print(f"{space_title(network.space, network.blocks)}  {vector_line(network.vector)}", soft_wrap=True)
    out.print(f"found by: {network.found}", soft_wrap=True)
    out.print(f"weights: {_weights_in_words(network.weights)}")
    out.print(f"made again by: {network.remake}", soft_wrap=True, markup=False)


def _weights_in_words(weights: Weights | None) -> str:
    if weights is None:
        return "none"
    if weights.test_top1 is not None:
        return f"{weights.data}, test top-1 {weights.test_top1:.2%}"
    return f"{weights.data}, validation top-1 {weights.top1:.2%}"
