"""From a training's folder to a folder that other programs read: written, checked, and only then given its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from betanas.data import DataSource
from betanas.errors import ExportError
from betanas.export.card import CARD, Facts, model_card
from betanas.export.classifier import ImageClassifier, find_sidecar, read_classifier
from betanas.export.formats import (
    onnx_is_installed,
    require_onnx,
    write_onnx,
    write_program,
    write_safetensors,
    write_source,
)
from betanas.export.samples import Sample, given_source, random_sample, real_sample, recorded_source
from betanas.export.sidecar import Sidecar, read_classes, read_sidecar
from betanas.export.target import check_target, whole_folder
from betanas.export.verification import Runner, Verification, logits_of, verify
from betanas.training.files import read_json, write_atomically, write_json
from betanas.training.kept import NETWORK, SIDECAR

_WRITERS: dict[str, Callable[[Sidecar, ImageClassifier, Path], Runner]] = {
    "safetensors": write_safetensors,
    "onnx": write_onnx,
    "torch": write_program,
    "source": write_source,
}

FORMATS = tuple(_WRITERS)


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        folder: where it lies.
        files: bytes of every file, by its name in the folder.
        verification: for each format, how it compared with the network in PyTorch.
        classes_named: whether the classes' names are known; otherwise they are numbered.
    """

    folder: Path
    files: dict[str, int]
    verification: dict[str, Verification]
    classes_named: bool


def export_network(
    folder: str | Path,
    to: str | Path,
    *,
    formats: Sequence[str] | None = None,
    data: str | None = None,
    classes: str | Path | Sequence[str] | None = None,
    license: str | None = None,  # noqa: A002 - what the model card calls it
    overwrite: bool = False,
) -> Export:
    """Write a trained network in other forms, each checked against PyTorch, with a model card and a JSON sidecar.

    Args:
        folder: that `betanas train` (or an earlier export with its weights) has left.
        to: the folder to make. It appears whole, or not at all.
        formats: of `FORMATS`, or `all`; by default all for which the packages are installed.
        data: images to check on; by default those the network was trained on where they are still in place, otherwise
            random ones.
        classes: names in label order, or a text file with one a line; by default those the training recorded.
        license: under which the network is given away, for the model card.
        overwrite: whether an earlier export may be replaced.

    Raises:
        ExportError: there is no trained network, the target is taken, or what was written computes something else.
        MissingExtraError: a format needs a package that is not installed.
    """
    folder, target, wanted = Path(folder), Path(to), _check_formats(formats)
    if "onnx" in wanted:
        require_onnx()
    check_target(target, overwrite=overwrite)
    sidecar = read_sidecar(find_sidecar(folder))
    recorded = recorded_source(sidecar, folder)
    source = given_source(sidecar, data) if data is not None else recorded
    sidecar = _completed(sidecar, recorded, classes)
    classifier = read_classifier(sidecar, folder / NETWORK)
    sample = real_sample(sidecar, source) if source is not None else random_sample(sidecar)
    expected = logits_of(classifier, sample.images)
    with whole_folder(target, overwrite=overwrite) as new:
        verification = _write_all(wanted, sidecar, classifier, new, expected=expected, sample=sample)
        facts = _facts(sidecar, classifier, folder, verification, recorded, license)
        _describe(sidecar, facts, new, name=target.absolute().name)
        files = _sizes(new)
    return Export(target, files, verification, sidecar.classes is not None)


def _check_formats(formats: Sequence[str] | None) -> tuple[str, ...]:
    if formats is None:
        return tuple(name for name in FORMATS if name != "onnx" or onnx_is_installed())
    chosen = [formats] if isinstance(formats, str) else list(formats)
    for name in chosen:
        if name not in (*FORMATS, "all"):
            raise ExportError(f"A format must be one of {', '.join(FORMATS)} or all.", value=name)
    if not chosen:
        raise ExportError("There must be a format to export to.", hint=f"Choose of {', '.join(FORMATS)}.")
    return FORMATS if "all" in chosen else tuple(dict.fromkeys(chosen))


def _completed(sidecar: Sidecar, recorded: DataSource | None, classes: str | Path | Sequence[str] | None) -> Sidecar:
    """The sidecar with what an older training did not write down, from the images it was trained on."""
    if classes is not None:
        sidecar = sidecar.with_classes(read_classes(Path(classes)) if isinstance(classes, str | Path) else classes)
    if recorded is None:
        return sidecar
    if sidecar.classes is None:
        sidecar = sidecar.with_classes(recorded.classes)
    return replace(sidecar, stored_side=sidecar.stored_side or recorded.stored_side(sidecar.resolution))


def _write_all(
    formats: Sequence[str],
    sidecar: Sidecar,
    classifier: ImageClassifier,
    folder: Path,
    *,
    expected: torch.Tensor,
    sample: Sample,
) -> dict[str, Verification]:
    found = {}
    for name in formats:
        run = _WRITERS[name](sidecar, classifier, folder)
        found[name] = verify(name, run, expected=expected, sample=sample)
    return found


def _facts(
    sidecar: Sidecar,
    classifier: ImageClassifier,
    folder: Path,
    verification: dict[str, Verification],
    recorded: DataSource | None,
    license_name: str | None,
) -> Facts:
    training = dict(sidecar.document.get("training") or {})
    if (folder / "result.json").is_file():
        training = {name: value for name, value in read_json(folder / "result.json").items() if name != "curve"}
    counts = dict(sidecar.document.get("images") or {})
    if recorded is not None:
        counts = {part: recorded.size(part) for part in recorded.parts}
    blueprint = sidecar.blueprint
    return Facts(
        params=sum(parameter.numel() for parameter in classifier.parameters()),
        macs=blueprint.macs if blueprint is not None else _count_macs(sidecar, classifier),
        training=training,
        images=counts,
        verification=verification,
        license=license_name or sidecar.document.get("license"),
    )


def _count_macs(sidecar: Sidecar, classifier: ImageClassifier) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        classifier(torch.zeros(1, sidecar.in_channels, sidecar.resolution, sidecar.resolution))
    # Torch counts a multiply-accumulate as two operations.
    return int(counter.get_total_flops()) // 2


def _describe(sidecar: Sidecar, facts: Facts, folder: Path, *, name: str) -> None:
    """Write the model card and the sidecar, which lists every file."""
    recorded: dict[str, Any] = dict(sidecar.document.get("data") or {})
    if isinstance(recorded.get("source"), str):  # the path on the machine of the training is nobody's business
        recorded["source"] = Path(recorded["source"]).name
    card = model_card(sidecar, facts, name=name, data=str(recorded.get("source", "")), files=_sizes(folder))
    write_atomically(folder / CARD, card.encode())
    document = {
        **sidecar.document,
        "data": recorded,
        "classes": sidecar.classes,
        "in_channels": sidecar.in_channels,
        "stored_side": sidecar.stored_side,
        "mean": sidecar.mean,
        "std": sidecar.std,
        "params": facts.params,
        "macs": facts.macs,
        "license": facts.license,
        "images": facts.images,
        "training": facts.training,
        "verification": {kind: asdict(found) for kind, found in facts.verification.items()},
        "files": _sizes(folder),
    }
    write_json(folder / SIDECAR, document)


def _sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
    }
