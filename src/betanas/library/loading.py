"""Named networks as modules."""

from __future__ import annotations

from pathlib import Path

from betanas.errors import BlueprintError
from betanas.library.catalogue import WEIGHTS_FOLDER, find_named
from betanas.models import BlueprintNetwork, build
from betanas.training.files import read_tensors


def load_network(
    name: str, *, pretrained: bool = True, num_classes: int | None = None, folder: Path = WEIGHTS_FOLDER
) -> BlueprintNetwork:
    """A named network, with the weights that come with the package.

    Args:
        name: as `betanas networks` lists it.
        pretrained: False for random weights.
        num_classes: classes to tell apart instead of its own; the classifier then has random weights.
        folder: where the weights are.

    Returns:
        The network in evaluation mode. Its images are standardised with its `Weights.mean` and `.std`.

    Raises:
        BlueprintError: there is no such network, none without a class, or no weights come with it.
    """
    entry = find_named(name, folder)
    network = build(entry.blueprint)
    if pretrained:
        if entry.weights is None:
            raise BlueprintError(
                f"No weights come with {name}.",
                hint="Give pretrained=False for random ones; betanas train trains them on your images.",
            )
        network.load_state_dict(read_tensors(entry.weights.path))
    if num_classes not in (None, entry.blueprint.num_classes):
        network.reset_classifier(num_classes)
    return network.eval()
