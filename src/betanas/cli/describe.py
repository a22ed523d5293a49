"""`betanas describe`: a space's parameters, or the network that a vector describes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from betanas.blocks import BLOCKS, space_title
from betanas.cli.output import console, cost_line, layer_table, print_json
from betanas.errors import VectorError
from betanas.files import read_document

BlocksOption = Annotated[
    str,
    typer.Option(
        help="Of a space's networks: ordinary, lite (no squeeze-excitation, ReLU6) or lite-hardswish.",
        metavar="|".join(BLOCKS),
        autocompletion=lambda incomplete: [name for name in BLOCKS if name.startswith(incomplete)],
    ),
]

_DEFAULT_BATCH = 100  # the report's (Table 2)


def describe(
    space: Annotated[str, typer.Argument(help="A search space's name, or a .py file that registers one.")],
    vector: Annotated[
        Path | None,
        typer.Option(help="A JSON file with a value for each parameter, or - for standard input."),
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="Take the report's best vector.")] = False,
    resolution: Annotated[int, typer.Option(help="Side of the input image, in pixels.")] = 224,
    classes: Annotated[int, typer.Option(help="Classes to tell apart.")] = 100,
    channels: Annotated[int, typer.Option(help="Channels of the image.")] = 3,
    preset: Annotated[str, typer.Option(help="Which of the space's ranges to show.")] = "default",
    blocks: BlocksOption = "ordinary",
    batch_size: Annotated[int, typer.Option(help="Images a training step, for the memory.")] = _DEFAULT_BATCH,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show a space's parameters, or the network that a vector describes: layers, parameters, cost.

    Without --vector or --published the space itself is shown.
    """
    from betanas.spaces import get_space
    from betanas.spaces import published as published_vector

    found = get_space(space, preset, blocks=blocks)
    title = space_title(found.name, blocks)
    if published and vector is not None:
        raise VectorError("A network has one vector.", hint="Type --vector or --published, not both.")
    if not published and vector is None:
        if as_json:
            ranges = {name: [searched.low, searched.high] for name, searched in found.parameters.items()}
            print_json(
                {
                    "space": found.name,
                    "blocks": blocks,
                    "preset": preset,
                    "presets": list(found.presets),
                    "ranges": ranges,
                }
            )
            return
        out = console()
        out.print(f"[bold]{title}[/bold], preset {preset} (presets: {', '.join(found.presets)})")
        wide = max(4, *map(len, found.parameters))
        for name, searched in found.parameters.items():
            line = f"  {name:<{wide}} {searched!s:<9} {found.meanings.get(name, '')}"
            out.print(line.rstrip(), soft_wrap=True, markup=False)
        return
    values = published_vector(found.name) if published else read_vector(vector)
    blueprint = found.blueprint(values, resolution=resolution, num_classes=classes, in_channels=channels)
    if as_json:
        print_json(
            {
                "space": found.name,
                "blocks": blocks,
                "vector": found.check(values),
                "num_params": blueprint.num_params,
                "macs": blueprint.macs,
                "training_memory": {"batch_size": batch_size, "bytes": blueprint.training_memory(batch_size)},
                "key": blueprint.key,
                "blueprint": blueprint.to_dict(),
            }
        )
        return
    out = console()
    out.print(layer_table(blueprint, title=f"{title} at {resolution}x{resolution}, {classes} classes"))
    out.print(cost_line(blueprint, batch_size))


def read_vector(path: Path | None) -> Mapping[str, float]:
    """A parameter vector from a JSON file (or - for standard input), as it is or under the key "vector".

    Raises:
        VectorError: the file is missing, or not a JSON object.
    """
    hint = 'Write it like {"k": 3.2, "K": 3.0, ...}; betanas best STUDY --json prints one.'
    try:
        text = typer.get_text_stream("stdin").read() if str(path) == "-" else read_document(Path(str(path)))
        data: Any = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise VectorError("A vector's file must be readable JSON.", value=str(path), hint=f"{error}. {hint}") from error
    if isinstance(data, dict) and isinstance(data.get("vector"), dict):
        data = data["vector"]
    if not isinstance(data, dict):
        raise VectorError("A vector's file must hold a JSON object.", value=str(path), hint=hint)
    return data
