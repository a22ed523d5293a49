"""What is known of a trained network beside its weights: the JSON file that training and export write next to them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from betanas.blueprint import Blueprint
from betanas.data.source import roomy_side
from betanas.errors import ExportError
from betanas.files import read_document, read_json
from betanas.quantities import MAX_RESOLUTION

FORMAT_VERSION = 1

# A description from somebody else must not make us reserve the memory of a network that nobody trains.
_MOST_CLASSES, _MOST_CHANNELS = 10**6, 1024


@dataclass(frozen=True, eq=False)
class Sidecar:
    """A trained network, described.

    Attributes:
        architecture: its blueprint, or the name of a benchmark network.
        classes: in label order; None where the training did not record their names.
        num_classes: how many they are.
        in_channels: 1 for grey images, 3 for colour.
        resolution: side of the network's input, in pixels.
        stored_side: side to which images were decoded before they were scaled to the resolution, in pixels; None where
            the training did not record it.
        scale, offset: one value a channel; pixel values 0..255 enter the network as `value * scale + offset`.
        top1: accuracy on validation images, the best of the training's evaluations.
        test_top1: accuracy on the test part; None where there is none.
        document: everything the file says.
    """

    architecture: Blueprint | str
    classes: tuple[str, ...] | None
    num_classes: int
    in_channels: int
    resolution: int
    stored_side: int | None
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    top1: float | None
    test_top1: float | None
    document: Mapping[str, Any]

    @property
    def std(self) -> tuple[float, ...]:
        """What images scaled to [0, 1] are divided by, one value a channel."""
        return tuple(1 / (255 * scale) for scale in self.scale)

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted from images scaled to [0, 1] before, one value a channel."""
        return tuple(-offset * std for offset, std in zip(self.offset, self.std, strict=True))

    @property
    def side_to_decode(self) -> int:
        """Side to which an image is decoded before it is scaled to the resolution: training's, where it is known."""
        return self.stored_side or roomy_side(self.resolution)

    @property
    def blueprint(self) -> Blueprint | None:
        """The blueprint; None for a benchmark network."""
        return self.architecture if isinstance(self.architecture, Blueprint) else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, or numbered ones where nobody has said theirs."""
        return self.classes or tuple(f"class {number}" for number in range(self.num_classes))

    def with_classes(self, classes: Sequence[str]) -> Sidecar:
        """The same network with its classes named.

        Raises:
            ExportError: they are not as many as the network tells apart.
        """
        if len(classes) != self.num_classes:
            raise ExportError(
                f"There must be a name for each of the network's {self.num_classes} classes.",
                value=f"{len(classes)} names",
                hint="Write one name a line, in the order of their labels.",
            )
        return replace(self, classes=tuple(classes))


def read_sidecar(path: Path) -> Sidecar:
    """Read what a training or an export wrote.

    Raises:
        ExportError: the file is damaged, or something else altogether.
        BlueprintError: the architecture in it is not one.
    """
    hint = "Give a folder that betanas train or betanas export has made."
    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        raise ExportError("A network's sidecar must be readable JSON.", value=str(path), hint=hint) from error
    if document.get("format") != FORMAT_VERSION:
        raise ExportError(f"This version reads sidecars of format {FORMAT_VERSION}.", value=str(path), hint=hint)
    try:
        return _sidecar(document)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ExportError(
            "A network's sidecar must describe a trained network.",
            value=str(path),
            hint=f"{type(error).__name__}: {error}. {hint}",
        ) from error


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names from a text file: one a line, in label order.

    Raises:
        ExportError: the file cannot be read, or names no class.
    """
    try:
        lines = read_document(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError("The classes' file must be readable text.", value=str(path), hint=f"{error}.") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise ExportError("The classes' file must have one name a line.", value=str(path))
    return names


def _sidecar(document: Mapping[str, Any]) -> Sidecar:
    described = document["architecture"]
    architecture: Blueprint | str
    if "network" in described:
        architecture, num_classes = str(described["network"]), int(described["num_classes"])
    else:
        architecture = Blueprint.from_dict(described)
        num_classes = architecture.num_classes
    scale, offset = (tuple(float(value) for value in document[name]) for name in ("scale", "offset"))
    in_channels = architecture.in_channels if isinstance(architecture, Blueprint) else int(described["in_channels"])
    resolution, stored_side = int(document["resolution"]), document.get("stored_side")
    for name, value, most in (
        ("resolution", resolution, MAX_RESOLUTION),
        ("stored_side", 1 if stored_side is None else stored_side, roomy_side(MAX_RESOLUTION)),
        ("num_classes", num_classes, _MOST_CLASSES),
        ("in_channels", in_channels, _MOST_CHANNELS),
    ):
        if type(value) is not int or not 1 <= value <= most:
            raise ValueError(f"{name} must be a whole number from 1 to {most:,}, not {value!r}")
    if not len(scale) == len(offset) == in_channels or not all(scale) or not all(map(math.isfinite, (*scale, *offset))):
        raise ValueError(f"scale and offset need {in_channels} values that are finite, and scales that are not 0")
    names = document.get("classes")
    if names is not None and not isinstance(names, list):
        raise TypeError("classes must be a list of names")
    sidecar = Sidecar(
        architecture=architecture,
        classes=None,
        num_classes=num_classes,
        in_channels=in_channels,
        resolution=resolution,
        stored_side=stored_side,
        scale=scale,
        offset=offset,
        top1=_share(document, "top1"),
        test_top1=_share(document, "test_top1"),
        document=document,
    )
    return sidecar if names is None else sidecar.with_classes([str(name) for name in names])


def _share(document: Mapping[str, Any], name: str) -> float | None:
    value = document.get(name)
    if value is not None and not 0 <= float(value) <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value!r}")
    return None if value is None else float(value)
