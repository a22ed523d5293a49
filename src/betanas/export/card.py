"""The model card: what a stranger should know of a network before using it, as the Hugging Face Hub reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from betanas._version import __version__
from betanas.blocks import KINDS
from betanas.blueprint import TABLE_HEADINGS, Blueprint
from betanas.export.on_device import COREML_FOLDER, EXECUTORCH_FILE, LITERT_FILE
from betanas.export.quantisation import INT8_FILE, Quantisation
from betanas.export.sidecar import Sidecar
from betanas.export.verification import TOLERANCE, Verification
from betanas.quantities import format_bytes, format_count, format_latency, format_seconds
from betanas.training.kept import NETWORK, SIDECAR

CARD = "README.md"

_LICENSE_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")

_MOST_CLASSES = 100


@dataclass(frozen=True, slots=True)
class AnswerTime:
    """How long the network takes to answer on a device, by a latency table of it.

    Attributes:
        predicted: seconds.
        measured: seconds, where the table's machine was at hand; None where it was not.
        conditions: runtime, threads, images and processor, in words.
        within: share of what was measured that 90% of the table's predictions are within.
    """

    predicted: float
    measured: float | None
    conditions: str
    within: float


@dataclass(frozen=True, eq=False)
class Facts:
    """What a card says beside the sidecar.

    Attributes:
        params: trainable parameters.
        macs: multiply-accumulates of one image.
        training: what `result.json` says, without its curve.
        images: how many each part of the data has.
        verification: for each exported format.
        unchecked: formats that nothing could run where they were written.
        preprocessing: whether graphs take bytes and give probabilities.
        quantisation: what the 8-bit network lost; None where there is none.
        license: as the user has given it; None where they have not.
        answer: how long an answer takes; None where no latency table was given.
    """

    params: int
    macs: int
    training: Mapping[str, Any]
    images: Mapping[str, int]
    verification: Mapping[str, Verification]
    unchecked: Sequence[str]
    preprocessing: bool
    quantisation: Quantisation | None
    license: str | None
    answer: AnswerTime | None = None


def model_card(sidecar: Sidecar, facts: Facts, *, name: str, data: str, files: Mapping[str, int]) -> str:
    """The card as Markdown with YAML front matter.

    Args:
        sidecar: the network.
        facts: what else is known.
        name: of the model, which is its folder's.
        data: name of the data it was trained on; empty where unknown.
        files: bytes of each file in the folder.
    """
    sections = [
        _front_matter(sidecar, facts, name, data),
        f"# {name}\n\n{_summary(sidecar, facts, data)}",
        f"## Use\n\n{_use(sidecar, facts)}",
        f"## Classes\n\n{_classes(sidecar)}",
        f"## Data\n\n{_data(sidecar, facts, data)}",
        f"## Training\n\n{_training(sidecar, facts)}",
        f"## Accuracy\n\n{_accuracy(sidecar, facts, data)}",
        *([f"## In 8 bits\n\n{_eight_bits(facts.quantisation, facts)}"] if facts.quantisation else []),
        f"## Cost\n\n{_cost(sidecar, facts, files)}",
        *([f"## Architecture\n\n{_architecture(sidecar.blueprint)}"] if sidecar.blueprint else []),
        f"## Limits\n\n{_limits(sidecar, facts)}",
        f"## Licence\n\n{_licence(facts)}",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(sidecar: Sidecar, facts: Facts, name: str, data: str) -> str:
    """YAML, of which JSON's strings and numbers are a part."""
    lines = ["---"]
    if facts.license is not None and _LICENSE_NAME.fullmatch(facts.license):
        lines.append(f"license: {facts.license}")
    else:
        lines += ["license: other", f"license_name: {json.dumps(facts.license or 'unspecified')}"]
    tags = ["image-classification", "neural-architecture-search", "betanas", "pytorch"]
    tags += ["onnx"] if "onnx" in facts.verification else []
    lines += ["pipeline_tag: image-classification", "tags:", *(f"- {tag}" for tag in tags)]
    lines += ["datasets:", f"- {json.dumps(data)}"] if data else []
    lines += ["metrics:", "- accuracy"]
    measured = _measured(sidecar)
    if measured:
        lines += ["model-index:", f"- name: {json.dumps(name)}", "  results:"]
    for part, value in measured:
        lines += [
            "  - task:",
            "      type: image-classification",
            "    dataset:",
            f"      name: {json.dumps(data or 'unknown')}",
            f"      type: {json.dumps(data or 'unknown')}",
            f"      split: {part}",
            "    metrics:",
            "    - type: accuracy",
            f"      value: {value:.4f}",
            "      name: top-1 accuracy",
        ]
    return "\n".join([*lines, "---"])


def _measured(sidecar: Sidecar) -> list[tuple[str, float]]:
    found = (("test", sidecar.test_top1), ("validation", sidecar.top1))
    return [(part, value) for part, value in found if value is not None]


def _summary(sidecar: Sidecar, facts: Facts, data: str) -> str:
    side, colour = sidecar.resolution, "grey" if sidecar.in_channels == 1 else "colour"
    what = (
        "a convolutional network built from a blueprint of BetaNAS"
        if sidecar.blueprint
        else f"the network {sidecar.architecture}"
    )
    trained = f", trained on {_code(data)}" if data else ""
    return (
        f"An image classifier: {what}{trained}. It takes {colour} images of {side}x{side} pixels, tells "
        f"{sidecar.num_classes} classes apart and has {format_count(facts.params)} parameters."
    )


def _use(sidecar: Sidecar, facts: Facts) -> str:
    there = facts.verification.keys()
    floats = f"[batch, {sidecar.in_channels}, {sidecar.resolution}, {sidecar.resolution}]"
    side, output = sidecar.side_to_decode, "probabilities" if facts.preprocessing else "logits"
    bytes_in = (
        f"The graphs (ONNX, torch.export, LiteRT, ExecuTorch) have the preprocessing inside: they take bytes, uint8 of "
        f"shape `[batch, {side}, {side}, {sidecar.in_channels}]`, and give probabilities. An image is prepared as in "
        f"training: upright, over white, the middle square scaled (bicubic, antialiased) to {side} pixels. "
        f"The rest (to {sidecar.resolution} pixels, standardisation, softmax) is in the graph. `{SIDECAR}` says all "
        "this to a program."
    )
    floats_in = (
        f"Images go in as float32 of shape `{floats}` with values from 0 to 1; the standardisation is inside the "
        "network. Logits come out: their softmax gives probabilities, their largest the class. An image is prepared as "
        f"in training: the middle square, scaled (bicubic) to {side} and then (bilinear, antialiased) to "
        f"{sidecar.resolution} pixels. `{SIDECAR}` says all this to a program."
    )
    parts = [bytes_in if facts.preprocessing else floats_in]
    if there & {"safetensors", "onnx"}:
        parts.append("With BetaNAS installed, in this folder:\n\n```\nbetanas predict . photo.jpg\n```")
    if "source" in there:
        parts.append(
            "Without it, with torch and torchvision alone, in the folder `source`:\n\n"
            "```\npython network.py photo.jpg\n```\n\n"
            "```python\nfrom network import load, preprocess\n\nnetwork = load()\n```"
        )
    if "onnx" in there:
        parts.append(
            "With onnxruntime, batches of any size:\n\n```python\nimport onnxruntime\n\n"
            'session = onnxruntime.InferenceSession("network.onnx")\n'
            f'({output},) = session.run(None, {{"images": images}})\n```'
        )
    if "torch" in there:
        parts.append(
            'With torch alone:\n\n```python\nimport torch\n\nnetwork = torch.export.load("network.pt2").module()\n```'
        )
    if "litert" in there:
        parts.append(
            "With LiteRT, one image a call:\n\n```python\nfrom ai_edge_litert.interpreter import Interpreter\n\n"
            f'run = Interpreter("{LITERT_FILE}").get_signature_runner()\n'
            f'{output} = run(images=images)["{output}"]\n```'
        )
    if "executorch" in there:
        parts.append(
            "With ExecuTorch (XNNPACK), one image a call:\n\n```python\nfrom executorch.runtime import Runtime\n\n"
            f'program = Runtime.get().load_program("{EXECUTORCH_FILE}")\n'
            f'({output},) = program.load_method("forward").execute([images])\n```'
        )
    if "coreml" in (*there, *facts.unchecked):
        takes = (
            f"a picture of {side}x{side} pixels" if facts.preprocessing else f"an array {floats}".replace("batch", "1")
        )
        parts.append(f"`{COREML_FOLDER}` is for Core ML (iOS 16, macOS 13 and later), {takes} a call.")
    if "safetensors" in there:
        parts.append(f"`{NETWORK}` holds the weights without the standardisation, by BetaNAS's names for them.")
    parts.append(_checks(facts))
    return "\n\n".join(parts)


def _checks(facts: Facts) -> str:
    rows = [
        (
            kind,
            f"{found.largest_difference:.1e}",
            found.origin,
            "-" if found.agreement is None else f"{found.agreement:.2%} of {found.validation_images:,}",
        )
        for kind, found in facts.verification.items()
    ]
    words = []
    if rows:
        words.append(
            f"Each form was compared with the trained network: outputs within {TOLERANCE:g}, the same first choice for "
            "every image; then first choices on all validation images.\n\n"
            f"{_table(('Form', 'Largest difference', 'Images', 'Same first choice, validation'), rows)}"
        )
    if facts.unchecked:
        words.append(f"Not run where it was written, since only macOS can: {', '.join(facts.unchecked)}.")
    return "\n\n".join(words)


def _classes(sidecar: Sidecar) -> str:
    if sidecar.classes is None:
        return f"{sidecar.num_classes} classes, whose names the training did not record."
    shown = ", ".join(_code(name) for name in sidecar.classes[:_MOST_CLASSES])
    rest = sidecar.num_classes - _MOST_CLASSES
    return shown + (f" and {rest:,} more, in `{SIDECAR}`." if rest > 0 else ".")


def _data(sidecar: Sidecar, facts: Facts, data: str) -> str:
    if not data:
        return "What it was trained on is not recorded."
    words = f"Trained on {_code(data)}"
    counts = [f"{count:,} {'training' if part == 'train' else part} images" for part, count in facts.images.items()]
    words += f": {', '.join(counts)}." if counts else "."
    if "validation" not in facts.images:
        words += (
            " A part of the training images, stratified by class, was set apart for validation "
            f"(seed {sidecar.document.get('seed', 0)})."
        )
    fingerprint = (sidecar.document.get("data") or {}).get("fingerprint")
    return words + (f" Fingerprint of the training images: {_code(str(fingerprint))}." if fingerprint else "")


def _training(sidecar: Sidecar, facts: Facts) -> str:
    recipe, training = sidecar.document.get("recipe") or {}, facts.training
    rows = [
        ("Recipe", str(recipe.get("name", "unknown"))),
        ("Budget", str(sidecar.document.get("budget", "unknown"))),
        ("Seed", str(sidecar.document.get("seed", "unknown"))),
    ]
    if training:
        rows += [
            ("Trained for", f"{training['epochs']:.1f} epochs, {training['steps']:,} steps"),
            ("Training time", format_seconds(training["training_seconds"])),
            ("Device", str(training["device"])),
        ]
    written = {name: value for name, value in recipe.items() if name != "name"}
    settings = "\n".join(f"{name} = {json.dumps(value)}" for name, value in written.items())
    folded = (
        f"\n\n<details><summary>Every setting of the recipe</summary>\n\n```\n{settings}\n```\n\n</details>"
        if settings
        else ""
    )
    return _table(("", ""), rows) + folded


def _accuracy(sidecar: Sidecar, facts: Facts, data: str) -> str:
    training, rows = facts.training, []
    for part, top1 in _measured(sidecar):
        top5 = training.get("test_top5" if part == "test" else "top5")
        count = facts.images.get(part)
        rows.append(
            (
                f"{part} images of {data or 'the data'}",
                f"{count:,}" if count else "-",
                f"{top1:.2%}",
                "-" if top5 is None else f"{top5:.2%}",
            )
        )
    if not rows:
        return "No accuracy is recorded."
    words = [_table(("Measured on", "Images", "Top-1", "Top-5"), rows)]
    if sidecar.test_top1 is not None:
        words.append("The test images were judged once, after training. ")
    words.append(
        "The weights are those of the evaluation that did best on the validation images, whose accuracy is therefore "
        "somewhat optimistic."
    )
    if (sidecar.document.get("recipe") or {}).get("test_flip"):
        words.append(
            "Accuracies are of logits averaged over each image and its mirror image; a single pass does a little worse."
        )
    return "\n\n".join([words[0], "".join(words[1:2]) + " ".join(words[2:])])


def _eight_bits(found: Quantisation, facts: Facts) -> str:
    judged = [found.validation, *([found.final] if found.final else [])]
    rows = [
        (each.origin, f"{each.top1_float:.2%}", f"{each.top1:.2%}", f"{100 * each.loss:.2f} points", f"{each.same:.1%}")
        for each in judged
    ]
    head = ("Judged on", "float32", "8 bits", "Lost", "Same first choice")
    kept = f"{len(found.kept)} of its {found.layers} layers stay in float32" if found.kept else "no layer is exempt"
    bits = (
        "Weights take all eight bits: it needs a processor with 8-bit dot products (VNNI, ARM's dotprod, most "
        "accelerators), and is wrong on others."
        if found.full_range
        else "Weights take seven bits, so that it is right on processors without 8-bit dot products too."
    )
    around = " The preprocessing around it, and the softmax, are in float32." if facts.preprocessing else ""
    return (
        f"`{INT8_FILE}` computes in 8 bits; {kept}. Ranges of activations: {found.method}, over "
        f"{found.calibrated_on:,} training images. {bits} One pass an image, without averaging over mirror images."
        f"{around}\n\n"
        f"{_table(head, rows)}"
    )


def _cost(sidecar: Sidecar, facts: Facts, files: Mapping[str, int]) -> str:
    rows = [
        ("Parameters", f"{facts.params:,}"),
        ("Multiply-accumulates an image", f"{format_count(facts.macs)} at {sidecar.resolution}x{sidecar.resolution}"),
        *(_answer(facts.answer) if facts.answer else []),
        *((_code(name), format_bytes(size)) for name, size in files.items()),
    ]
    return _table(("", ""), rows)


def _answer(found: AnswerTime) -> list[tuple[str, str]]:
    where = _code(found.conditions)
    predicted = f"{format_latency(found.predicted)} ({where}; 90% of such predictions are within {found.within:.0%})"
    rows = [("Time of an answer in float32, predicted", predicted)]
    if found.measured is not None:
        rows.append(("Time of an answer in float32, measured", f"{format_latency(found.measured)} ({where})"))
    return rows


def _architecture(blueprint: Blueprint) -> str:
    rows = [row.cells for row in blueprint.table()]
    latent = f"a 1x1 convolution to {blueprint.latent} channels, " if blueprint.latent else ""
    there = {layer.kind for layer in blueprint.layers}
    kinds = "; ".join(f"{kind.name}: {kind.title}" for kind in KINDS if kind.name in there)
    return (
        f"{_table(TABLE_HEADINGS, rows)}\n\nThen {latent}average pooling and a linear layer. {kinds}; with batch norm "
        "and, where no other activation is named, SiLU; an SE ratio means squeeze-excitation. "
        f"Blueprint key {_code(blueprint.key)}."
    )


def _limits(sidecar: Sidecar, facts: Facts) -> str:
    points = [
        f"It knows its {sidecar.num_classes} classes and no others: an image of anything else is given one of them, "
        "perhaps with a high probability. Probabilities have not been calibrated.",
        "Its accuracy was measured on images that were gathered together with those it learned from. On images from "
        "elsewhere expect less, and measure it.",
        "Nobody has examined how its errors are spread over groups of people or circumstances.",
    ]
    if {*facts.verification, *facts.unchecked} - {"safetensors", "source"}:
        side = sidecar.side_to_decode if facts.preprocessing else sidecar.resolution
        points.append(f"Its graphs take images of {side}x{side} pixels, no others.")
    return "\n".join(f"- {point}" for point in points)


def _licence(facts: Facts) -> str:
    given = f"{_code(facts.license)}." if facts.license else "Not specified by who exported it."
    return f"{given}\n\nExported by BetaNAS {__version__}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _code(text: str) -> str:
    """Text that Markdown shows as it is, whatever is in it."""
    plain = " ".join(text.split()).replace("`", "'")
    return f"`{plain}`"
