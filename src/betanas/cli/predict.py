"""`betanas predict`: what a trained or exported network sees in image files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from betanas.cli.export import ClassesOption
from betanas.cli.output import console, print_json
from betanas.cli.train import DeviceOption


def predict(
    model: Annotated[Path, typer.Argument(help="A training's folder, an export's folder, or an .onnx file.")],
    images: Annotated[list[Path], typer.Argument(help="Image files of any size, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    device: DeviceOption = "auto",
    classes: ClassesOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print the likeliest classes of images."""
    from betanas.export.prediction import Predictor

    predictor = Predictor(model, device=device, classes=classes)
    predictions = predictor(images, top=top)
    if as_json:
        found = [
            {
                "image": str(each.image),
                "top": [
                    {"class": choice.name, "index": choice.index, "probability": choice.probability}
                    for choice in each.top
                ],
            }
            for each in predictions
        ]
        print_json({"model": str(model), "images": found})
        return
    out = console()
    width = max(len(name) for name in predictor.sidecar.class_names)
    for each in predictions:
        out.print(str(each.image), markup=False, soft_wrap=True)
        for choice in each.top:
            out.print(f"  {choice.name:<{width}}  {choice.probability:6.1%}", markup=False, soft_wrap=True)
