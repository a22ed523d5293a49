"""What is in the library: the published vectors, and one JSON file for each network whose weights are kept.

A network with weights is two files in `betanas/library/weights`: NAME.safetensors, and NAME.json, which says what the
network is, what its weights were trained on and how it is made again. Nothing else registers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from betanas.blocks import Blocks
from betanas.blueprint import Blueprint
from betanas.errors import BlueprintError, did_you_mean
from betanas.files import read_json
from betanas.spaces import get_space, published
from betanas.trust import check_trust

FORMAT_VERSION = 1

# A wheel stays a few MiB while every network in it does.
MAX_WEIGHTS_BYTES = 4 * 2**20

WEIGHTS_FOLDER = Path(str(resources.files("betanas.library") / "weights"))

# The report's tables are for these sides (Tables A1 to A4), from a search at 224 pixels.
_PUBLISHED_SPACES = ("betanet2", "betanet3")
_PUBLISHED_AT = (224, 384)
_PUBLISHED_CLASSES = 100


@dataclass(frozen=True)
class Weights:
    """Trained weights that come with the package.

    Attributes:
        path: the safetensors file.
        data: the data source's name.
        classes: class names, in label order.
        mean, std: what images scaled to [0, 1] are standardised with, one value a channel.
        top1: validation accuracy in [0, 1].
        test_top1: of the test set; None where the source has none.
    """

    path: Path
    data: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    top1: float
    test_top1: float | None


@dataclass(frozen=True)
class LibraryNetwork:
    """A network with a name.

    Attributes:
        name: lower case, without dots: what `load_network`, the command line and timm call it.
        space: the search space its vector belongs to.
        vector: its parameter vector.
        blueprint: the network itself, for the resolution, classes and channels it was made for.
        found: how it was found, in a few words.
        remake: the command that makes it again.
        weights: trained ones, where they come with the package.
        blocks: what the space's blocks were.
    """

    name: str
    space: str
    vector: Mapping[str, float]
    blueprint: Blueprint
    found: str
    remake: str
    weights: Weights | None = None
    blocks: Blocks = "ordinary"

    def at(self, *, resolution: int, num_classes: int, in_channels: int) -> Blueprint:
        """The network for other images: the kept blueprint where it is for them, else the vector's."""
        own = (self.blueprint.resolution, self.blueprint.num_classes, self.blueprint.in_channels)
        if (resolution, num_classes, in_channels) == own:
            return self.blueprint
        return get_space(self.space, blocks=self.blocks).blueprint(
            self.vector, resolution=resolution, num_classes=num_classes, in_channels=in_channels
        )


def library_networks(folder: Path = WEIGHTS_FOLDER) -> dict[str, LibraryNetwork]:
    """Every named network: the published ones, then those with weights, by name.

    Args:
        folder: where the weights are.

    Raises:
        BlueprintError: a file in the folder is damaged, or one of a newer format.
        StudyError: one names a Python file as its space.
    """
    found = [_published(space, resolution) for space in _PUBLISHED_SPACES for resolution in _PUBLISHED_AT]
    found += [_read(path) for path in sorted(folder.glob("*.json"))]
    return {network.name: network for network in found}


def find_named(name: str, folder: Path = WEIGHTS_FOLDER) -> LibraryNetwork:
    """The network of a name.

    Raises:
        BlueprintError: the library has no such network.
    """
    known = library_networks(folder)
    if name not in known:
        raise BlueprintError(
            "The library has no network of this name.",
            value=name,
            hint=did_you_mean(name, known, f"It has {', '.join(known)}."),
        )
    return known[name]


def _published(space: str, resolution: int) -> LibraryNetwork:
    vector = published(space)
    return LibraryNetwork(
        name=f"{space}_r{resolution}",
        space=space,
        vector=vector,
        blueprint=get_space(space).blueprint(vector, resolution=resolution, num_classes=_PUBLISHED_CLASSES),
        found="the report's search at 224 pixels" + ("" if resolution == 224 else f", at {resolution} pixels"),
        remake=f"betanas describe {space} --published --resolution {resolution}",
    )


def _read(path: Path) -> LibraryNetwork:
    hint = "Pack it again with betanas.library.pack_network."
    try:
        data: Any = read_json(path)
        if data["format"] != FORMAT_VERSION:
            raise BlueprintError(
                f"This version reads library networks of format {FORMAT_VERSION}.", value=data["format"], hint=hint
            )
        check_trust({"space": data["space"]}, trusted=False, what="This library")
        return LibraryNetwork(
            name=path.stem,
            space=data["space"],
            vector=data["vector"],
            blueprint=Blueprint.from_dict(data["blueprint"]),
            found=data["found"],
            remake=data["remake"],
            blocks=data.get("blocks", "ordinary"),
            weights=Weights(
                path=path.with_suffix(".safetensors"),
                data=data["data"],
                classes=tuple(data["classes"]),
                mean=tuple(data["mean"]),
                std=tuple(data["std"]),
                top1=data["top1"],
                test_top1=data["test_top1"],
            ),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BlueprintError(
            "A library network's file must be whole.", value=path.name, hint=f"{type(error).__name__}: {error}. {hint}"
        ) from error
