"""A finished training becomes a network of the library."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from betanas.blocks import Blocks
from betanas.data import open_source
from betanas.errors import BlueprintError
from betanas.export.sidecar import read_sidecar
from betanas.files import write_atomically
from betanas.library.catalogue import FORMAT_VERSION, MAX_WEIGHTS_BYTES, WEIGHTS_FOLDER, LibraryNetwork, find_named
from betanas.spaces import get_space
from betanas.training.files import write_json
from betanas.training.kept import NETWORK, SIDECAR
from betanas.trust import check_trust

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def pack_network(
    name: str,
    training: Path,
    *,
    space: str,
    vector: Mapping[str, float],
    found: str,
    remake: str,
    blocks: Blocks = "ordinary",
    folder: Path = WEIGHTS_FOLDER,
    trust_files: bool = False,
) -> LibraryNetwork:
    """Keep the weights of a folder that `betanas train` has finished; a network of the same name is replaced.

    Args:
        name: of the network: lower case letters, digits and single underscores.
        training: the folder.
        space: the search space of its vector.
        vector: its parameter vector.
        found: how it was found, in a few words.
        remake: the command that makes it again.
        blocks: what the space's blocks are.
        folder: where the weights go.
        trust_files: whether the Python file that the training's folder names as its data source may be run.

    Raises:
        BlueprintError: the name cannot be one, the folder holds no finished training of a blueprint, the vector
            describes another network, or the weights are too large to keep.
        VectorError: the vector does not fit the space.
        StudyError: a Python file would be run untrusted.
    """
    if not _NAME.fullmatch(name):
        raise BlueprintError(
            "A library network's name must be lower case letters, digits and single underscores.", value=name
        )
    if not (training / SIDECAR).is_file():
        raise BlueprintError(
            "The weights must come from a finished training.",
            value=str(training),
            hint=f"Train it with: betanas train NETWORK --folder {training}",
        )
    sidecar = read_sidecar(training / SIDECAR)
    blueprint, notes = sidecar.blueprint, sidecar.document
    if blueprint is None:
        raise BlueprintError("A library network must be one that a blueprint describes.", value=sidecar.architecture)
    if sidecar.classes is None:
        check_trust({"source": notes["data"]["source"]}, trusted=trust_files, what="This training")
    described = get_space(space, blocks=blocks).blueprint(
        vector,
        resolution=blueprint.resolution,
        num_classes=blueprint.num_classes,
        in_channels=blueprint.in_channels,
    )
    if described.key != blueprint.key:
        raise BlueprintError(
            f"The vector must describe the trained network in {space}.", value=f"{described.key}, not {blueprint.key}"
        )
    tensors = (training / NETWORK).read_bytes()
    if len(tensors) > MAX_WEIGHTS_BYTES:
        raise BlueprintError(
            f"Weights of at most {MAX_WEIGHTS_BYTES:,} bytes are kept in the package.",
            value=f"{len(tensors):,} bytes",
            hint="Train a smaller network, or one at a lower resolution.",
        )
    # The tensors first: a network is in the library when its JSON file is.
    write_atomically(folder / f"{name}.safetensors", tensors)
    write_json(
        folder / f"{name}.json",
        {
            "format": FORMAT_VERSION,
            "space": space,
            "blocks": blocks,
            "vector": get_space(space).check(vector),
            "found": found,
            "remake": remake,
            "data": Path(notes["data"]["source"]).name,  # a folder's path means nothing on another machine
            "classes": list(sidecar.classes or open_source(notes["data"]["source"]).classes),
            "mean": list(sidecar.mean),
            "std": list(sidecar.std),
            "top1": sidecar.top1,
            "test_top1": sidecar.test_top1,
            "recipe": notes["recipe"],
            "budget": notes["budget"],
            "seed": notes["seed"],
            "blueprint": json.loads(blueprint.to_json()),
        },
    )
    return find_named(name, folder)
