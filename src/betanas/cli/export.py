"""`betanas export`: a trained network in forms that other programs read, each checked."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from betanas.cli.output import console, print_json
from betanas.cli.study import TrustOption
from betanas.quantities import format_bytes

if TYPE_CHECKING:
    from betanas.export.card import AnswerTime
    from betanas.export.quantisation import Quantisation
    from betanas.export.verification import Verification


class Format(StrEnum):
    """What is written."""

    safetensors = "safetensors"
    onnx = "onnx"
    torch = "torch"
    source = "source"
    int8 = "int8"
    litert = "litert"
    executorch = "executorch"
    coreml = "coreml"
    all = "all"


ClassesOption = Annotated[
    Path | None, typer.Option(help="A text file with the classes' names, one a line, in label order.", dir_okay=False)
]


def export(
    folder: Annotated[Path, typer.Argument(help="What betanas train has left.")],
    to: Annotated[Path, typer.Option(help="The folder to make.")],
    format: Annotated[  # noqa: A002 - the option's name is the interface
        list[Format] | None,
        typer.Option(
            help="May be repeated. safetensors: weights; onnx; torch: a torch.export program; source: a folder of "
            "plain torch that needs no BetaNAS; all: these four. int8: ONNX in 8 bits, its loss measured; litert, "
            "executorch, coreml: for phones.",
            show_default="all for which the packages are installed",
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Images to check on, instead of those it was trained on.", metavar="DATA")
    ] = None,
    classes: ClassesOption = None,
    license: Annotated[  # noqa: A002 - what the model card calls it
        str | None, typer.Option(help="The licence you give the network away under, for the model card.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    max_loss: Annotated[
        float, typer.Option(min=0.0, max=100.0, help="int8: most points of validation accuracy it may lose.")
    ] = 0.5,
    full_range: Annotated[
        bool,
        typer.Option(
            "--full-range",
            help="int8: weights of 8 instead of 7 bits, for processors with 8-bit dot products alone (VNNI, dotprod).",
        ),
    ] = False,
    with_preprocessing: Annotated[
        bool,
        typer.Option(
            "--with-preprocessing",
            help="Graphs take bytes and give probabilities: all that comes between is inside.",
        ),
    ] = False,
    latency_table: Annotated[
        Path | None,
        typer.Option(
            help="A latency table of the device: the card then says how long an answer takes there.", metavar="FILE"
        ),
    ] = None,
    trust_files: TrustOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Take a trained network home: weights, ONNX, torch.export or plain source, checked, with a model card."""
    from betanas.export.exporting import export_network

    made = export_network(
        folder,
        to,
        formats=[each.value for each in format] if format else None,
        data=data,
        classes=classes,
        license=license,
        overwrite=overwrite,
        tolerance=max_loss / 100,
        full_range=full_range,
        preprocessing=with_preprocessing,
        answer=_answer_time(folder, latency_table) if latency_table is not None else None,
        trust_files=trust_files,
    )
    if not made.classes_named:
        console(stderr=True).print("The classes' names are not recorded; they are numbered. --classes FILE names them.")
    if not format and "onnx" not in made.verification:
        console(stderr=True).print(
            "ONNX is left out: its packages are not installed. pip install 'betanas[onnx]'", markup=False
        )
    if as_json:
        found = {kind: asdict(each) for kind, each in made.verification.items()}
        lost = None if made.quantisation is None else asdict(made.quantisation)
        print_json(
            {
                "folder": str(made.folder),
                "files": made.files,
                "verification": found,
                "quantisation": lost,
                "unchecked": made.unchecked,
            }
        )
        return
    out = console()
    for name, size in made.files.items():
        out.print(f"{made.folder / name}  {format_bytes(size)}", markup=False, soft_wrap=True)
    for kind, each in made.verification.items():
        out.print(
            f"{kind}: the same first choice for {each.origin}; outputs differ by at most {each.largest_difference:.1e}"
            f"{_agreed(each)}",
            markup=False,
            soft_wrap=True,
        )
    for kind in made.unchecked:
        out.print(f"{kind}: written, and its description checked; only macOS can run it", markup=False, soft_wrap=True)
    if made.quantisation is not None:
        _show_loss(made.quantisation, out)
    if not all(each.real for each in made.verification.values()):
        out.print(
            "The images it was trained on are not here, or come from a Python file, which --trust-files runs; "
            "--data DATA checks on real ones."
        )


def _answer_time(folder: Path, latency_table: Path) -> AnswerTime:
    """How long a trained network takes to answer, by a latency table.

    Raises:
        LimitError: the table is none.
        ExportError: there is no trained network, or it has no blueprint.
    """
    from betanas.cost.latency import LatencyModel
    from betanas.errors import ExportError
    from betanas.export.classifier import find_sidecar
    from betanas.export.sidecar import read_sidecar
    from betanas.profiling.calibration.answer import answer

    table, sidecar = LatencyModel.load(latency_table), read_sidecar(find_sidecar(folder))
    if sidecar.blueprint is None:
        raise ExportError(
            "A latency table predicts networks that have a blueprint.",
            value=str(sidecar.architecture),
            hint="Leave --latency-table out.",
        )
    return answer(sidecar.blueprint, table).on_card(table)


def _agreed(found: Verification) -> str:
    if found.agreement is None:
        return ""
    return f"; the same for {found.agreement:.2%} of all {found.validation_images:,} validation images"


def _show_loss(found: Quantisation, out: Console) -> None:
    for each in (found.validation, found.final):
        if each is not None:
            out.print(
                f"int8: {each.top1:.2%} where float32 has {each.top1_float:.2%}, the same first choice for "
                f"{each.same:.1%}, on {each.origin}",
                markup=False,
                soft_wrap=True,
            )
    if found.kept:
        out.print(f"int8: {len(found.kept)} of {found.layers} layers stay in float32", markup=False)
