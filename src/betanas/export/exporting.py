"""From a training's folder to a folder that other programs read: written, checked, and only then given its name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from betanas.data import DataSource
from betanas.data.places import keep_outside
from betanas.errors import ExportError
from betanas.export.card import CARD, AnswerTime, Facts, model_card
from betanas.export.classifier import BytesClassifier, ImageClassifier, find_sidecar, read_classifier
from betanas.export.formats import (
    ONNX_FILE,
    onnx_is_installed,
    onnx_runner,
    require_onnx,
    write_onnx,
    write_program,
    write_safetensors,
    write_source,
)
from betanas.export.on_device import (
    PACKAGES,
    require_packages,
    write_coreml,
    write_executorch,
    write_litert,
)
from betanas.export.onnx_preprocessing import add_preprocessing
from betanas.export.quantisation import INT8_FILE, TOLERANCE, Quantisation, write_int8
from betanas.export.samples import (
    QuantisationSamples,
    Sample,
    given_source,
    quantisation_samples,
    random_sample,
    real_sample,
    recorded_source,
    validation_batches,
)
from betanas.export.sidecar import Sidecar, read_classes, read_sidecar
from betanas.export.target import check_target, whole_folder
from betanas.export.verification import Runner, Verification, check_agreement, logits_of, verify
from betanas.files import read_json, write_atomically
from betanas.training.files import write_json
from betanas.training.kept import NETWORK, SIDECAR

# Each gives back what runs the file that it has written; None where nothing here can.
_WRITERS: dict[str, Callable[[Sidecar, Any, Path], Runner | None]] = {
    "safetensors": write_safetensors,
    "onnx": write_onnx,
    "torch": write_program,
    "source": write_source,
    "litert": write_litert,
    "executorch": write_executorch,
    "coreml": write_coreml,
}

# What `all` is. The others take long, packages of their own, or both.
FORMATS = ("safetensors", "onnx", "torch", "source")

# It computes something slightly else, and needs labelled images.
INT8 = "int8"

NAMED_ONLY = (INT8, *PACKAGES)

# Weights and code say what the network is, not what is done with an image before.
_WITHOUT_PREPROCESSING = ("safetensors", "source")


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        folder: where it lies.
        files: bytes of every file, by its name in the folder.
        verification: for each format, how it compared with the network in PyTorch.
        unchecked: formats that nothing on this machine can run.
        quantisation: what the 8-bit network lost; None where none was asked for.
        classes_named: whether the classes' names are known; otherwise they are numbered.
    """

    folder: Path
    files: dict[str, int]
    verification: dict[str, Verification]
    classes_named: bool
    quantisation: Quantisation | None = None
    unchecked: tuple[str, ...] = ()


def export_network(
    folder: str | Path,
    to: str | Path,
    *,
    formats: Sequence[str] | None = None,
    data: str | None = None,
    classes: str | Path | Sequence[str] | None = None,
    license: str | None = None,  # noqa: A002 - what the model card calls it
    overwrite: bool = False,
    tolerance: float = TOLERANCE,
    full_range: bool = False,
    preprocessing: bool = False,
    answer: AnswerTime | None = None,
    trust_files: bool = False,
) -> Export:
    """Write a trained network in other forms, each checked against PyTorch, with a model card and a JSON sidecar.

    Args:
        folder: that `betanas train` (or an earlier export with its weights) has left.
        to: the folder to make. It appears whole, or not at all.
        formats: of `FORMATS`, or `all`; by default all for which the packages are installed. `NAMED_ONLY` are
            written where they are named: `int8`, an ONNX graph in 8 bits, and `litert`, `executorch` and `coreml`.
        data: images to check on; by default those the network was trained on where they are still in place, otherwise
            random ones.
        classes: names in label order, or a text file with one a line; by default those the training recorded.
        license: under which the network is given away, for the model card.
        overwrite: whether an earlier export may be replaced.
        tolerance: most accuracy on validation images that `int8` may lose, as a share.
        full_range: whether the weights of `int8` take all eight bits: somewhat more accurate, for processors with
            8-bit dot products (VNNI, ARM's dotprod, most accelerators); others compute it wrongly.
        preprocessing: whether graphs take bytes and give probabilities, with all that comes between inside (see
            `BytesClassifier`); otherwise they take values from 0 to 1 and give logits.
        answer: how long the network takes to answer on a device, for the model card and the sidecar.
        trust_files: whether the Python file that the folder names as its data source may be run.

    Raises:
        ExportError: there is no trained network, the target is taken, a format cannot express the network, or what was
            written computes something else.
        MissingExtraError: a format needs a package that is not installed.
    """
    folder, target, chosen = Path(folder), Path(to), _check_formats(formats)
    wanted = set(chosen)
    if preprocessing and not wanted - set(_WITHOUT_PREPROCESSING):
        raise ExportError(
            "Preprocessing goes into a graph: onnx, int8, torch, litert, executorch or coreml.",
            value=", ".join(chosen),
            hint="Choose one of them with --format, or leave --with-preprocessing out.",
        )
    if wanted & {"onnx", INT8}:
        require_onnx()
    for name in PACKAGES:
        if name in wanted:
            require_packages(name)
    check_target(target, overwrite=overwrite)
    sidecar = read_sidecar(find_sidecar(folder))
    recorded = recorded_source(sidecar, folder, trusted=trust_files)
    source = given_source(sidecar, data) if data is not None else recorded
    if source is not None:
        keep_outside(target, source.name, what="An export", hint="Type, for example, --to model.")
    sidecar = _completed(sidecar, recorded, classes)
    classifier = read_classifier(sidecar, folder / NETWORK)
    sample = real_sample(sidecar, source) if source is not None else random_sample(sidecar)
    labelled = _labelled(sidecar, source, tolerance) if INT8 in wanted else None
    with whole_folder(target, overwrite=overwrite) as new:
        exact = [name for name in chosen if name != INT8]
        written = _Writing(sidecar, classifier, sample, source, preprocessing)
        verification = written.formats(exact, new)
        quantisation = None
        if labelled is not None:
            quantisation = written.int8(new, labelled, tolerance=tolerance, full_range=full_range)
        unchecked = tuple(name for name in exact if name not in verification)
        facts = _facts(
            sidecar,
            classifier,
            folder,
            verification=verification,
            unchecked=unchecked,
            preprocessing=preprocessing,
            quantisation=quantisation,
            recorded=recorded,
            license_name=license,
            answer=answer,
        )
        _describe(sidecar, facts, new, name=target.absolute().name)
        files = _sizes(new)
    return Export(target, files, verification, sidecar.classes is not None, quantisation, unchecked)


def _check_formats(formats: Sequence[str] | None) -> tuple[str, ...]:
    if formats is None:
        return tuple(name for name in FORMATS if name != "onnx" or onnx_is_installed())
    chosen = [formats] if isinstance(formats, str) else list(formats)
    for name in chosen:
        if name not in (*FORMATS, *NAMED_ONLY, "all"):
            raise ExportError(f"A format must be one of {', '.join((*FORMATS, *NAMED_ONLY))} or all.", value=name)
    if not chosen:
        raise ExportError("There must be a format to export to.", hint=f"Choose of {', '.join(FORMATS)}.")
    named = [each for name in chosen for each in (FORMATS if name == "all" else (name,))]
    return tuple(dict.fromkeys(named))


def _completed(sidecar: Sidecar, recorded: DataSource | None, classes: str | Path | Sequence[str] | None) -> Sidecar:
    """The sidecar with what an older training did not write down, from the images it was trained on."""
    if classes is not None:
        sidecar = sidecar.with_classes(read_classes(Path(classes)) if isinstance(classes, str | Path) else classes)
    if recorded is None:
        return sidecar
    if sidecar.classes is None:
        sidecar = sidecar.with_classes(recorded.classes)
    return replace(sidecar, stored_side=sidecar.stored_side or recorded.stored_side(sidecar.resolution))


def _labelled(sidecar: Sidecar, source: DataSource | None, tolerance: float) -> QuantisationSamples:
    """The images for an 8-bit network, refused before anything is written where there are none."""
    if not 0.0 <= tolerance < 1.0:
        raise ExportError("The tolerance must be a share from 0 to 1 of the images.", value=tolerance)
    if source is None:
        raise ExportError(
            "An 8-bit network must be made and judged with real images.",
            hint="The images it was trained on are not here: name them with --data DATA.",
        )
    return quantisation_samples(sidecar, source)


class _Writing:
    """Writes forms of one network into a folder and checks each: on a sample, then on all validation images.

    Args:
        sidecar: the network.
        classifier: the same in PyTorch.
        sample: images that every output is compared on.
        source: what has the validation images; None where nobody knows.
        preprocessing: whether graphs take bytes.
    """

    def __init__(
        self,
        sidecar: Sidecar,
        classifier: ImageClassifier,
        sample: Sample,
        source: DataSource | None,
        preprocessing: bool,
    ) -> None:
        self._sidecar, self._classifier, self._source = sidecar, classifier, source
        self._sample, self._logits = sample, logits_of(classifier, sample.images)
        self._from_bytes = BytesClassifier(classifier, sidecar).eval() if preprocessing else None

    def formats(self, names: Sequence[str], folder: Path) -> dict[str, Verification]:
        """Write these formats; those that cannot be run here are left out of what is given back."""
        runs: dict[str, Runner] = {}
        found: dict[str, Verification] = {}
        for name in names:
            exported = self._exported(name)
            run = _WRITERS[name](self._sidecar, exported, folder)
            if run is None:
                continue
            if isinstance(exported, BytesClassifier):
                found[name] = self._verify_bytes(name, run)
            else:
                found[name] = verify(name, run, expected=self._logits, sample=self._sample)
            if name not in _WITHOUT_PREPROCESSING:
                runs[name] = run
        if runs and self._source is not None:
            shares = check_agreement(
                runs,
                original=self._classifier,
                batches=validation_batches(self._sidecar, self._source),
                from_bytes=self._from_bytes is not None,
            )
            for name, (share, images) in shares.items():
                found[name] = replace(found[name], agreement=share, validation_images=images)
        return found

    def int8(self, folder: Path, samples: QuantisationSamples, *, tolerance: float, full_range: bool) -> Quantisation:
        """Write the 8-bit graph. It is made and judged on the network alone; preprocessing is put around it."""
        with tempfile.TemporaryDirectory(prefix="betanas-") as place:
            graph, made = Path(place) / ONNX_FILE, Path(place) / INT8_FILE
            write_onnx(self._sidecar, self._classifier, Path(place))
            found = write_int8(
                graph,
                made,
                expected=self._classifier,
                calibration=samples.calibration,
                validation=samples.validation,
                final=samples.final,
                tolerance=tolerance,
                full_range=full_range,
            )
            if self._from_bytes is None:
                (folder / INT8_FILE).write_bytes(made.read_bytes())
                return found
            add_preprocessing(made, folder / INT8_FILE, self._sidecar)
            # Around the network in float32 the same must give what PyTorch gives; in 8 bits a rounding may fall
            # otherwise where an input differs by a millionth, so only there can it be compared to the last digits.
            add_preprocessing(graph, Path(place) / "checked.onnx", self._sidecar)
            self._verify_bytes("preprocessing of int8", onnx_runner(Path(place) / "checked.onnx"))
        return found

    def _exported(self, name: str) -> ImageClassifier | BytesClassifier:
        if self._from_bytes is None or name in _WITHOUT_PREPROCESSING:
            return self._classifier
        return self._from_bytes

    def _verify_bytes(self, what: str, run: Runner) -> Verification:
        """Against the network on images prepared as in training, by other code than what is inside the graph."""
        assert self._sample.pixels is not None  # noqa: S101 - `real_sample` keeps them: narrows the type
        given = replace(self._sample, images=self._sample.pixels)
        return verify(what, run, expected=self._logits.softmax(dim=1), sample=given)


def _facts(
    sidecar: Sidecar,
    classifier: ImageClassifier,
    folder: Path,
    *,
    verification: dict[str, Verification],
    unchecked: tuple[str, ...],
    preprocessing: bool,
    quantisation: Quantisation | None,
    recorded: DataSource | None,
    license_name: str | None,
    answer: AnswerTime | None,
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
        unchecked=unchecked,
        preprocessing=preprocessing,
        quantisation=quantisation,
        license=license_name or sidecar.document.get("license"),
        answer=answer,
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
    if isinstance(recorded.get("source"), str):  # without the path on the machine of the training
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
        "preprocessing": facts.preprocessing,
        "unchecked": facts.unchecked,
        "verification": {kind: asdict(found) for kind, found in facts.verification.items()},
        "quantisation": None if facts.quantisation is None else asdict(facts.quantisation),
        "answer": None if facts.answer is None else asdict(facts.answer),
        "files": _sizes(folder),
    }
    write_json(folder / SIDECAR, document)


def _sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
    }
