"""A network as a Python module that needs no BetaNAS: what a person would have written by hand for its blueprint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from betanas._version import __version__
from betanas.export.sidecar import Sidecar
from betanas.export.source_network import network_source
from betanas.quantities import format_count

_USE = '''\
def load(weights: Path = FOLDER / "network.safetensors") -> Network:
    """The trained network, ready to predict."""
    network = Network()
    network.load_state_dict(load_file(weights))
    return network.eval()


def preprocess(image: Image.Image) -> Tensor:
    """The middle of an image as the network takes it: a batch of one, from 0 to 1."""
    image.draft(None, (2 * STORED_SIDE, 2 * STORED_SIDE))  # a large JPEG opens faster
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        page = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(page, image.convert("RGBA"))
    image = image.convert("{mode}")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.resize(
        (STORED_SIDE, STORED_SIDE),
        Image.Resampling.BICUBIC,
        box=(left, top, left + side, top + side),
        reducing_gap=3.0,
    )
    pixels = pil_to_tensor(image)[None] / 255
    return functional.interpolate(
        pixels, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True
    )


if __name__ == "__main__":
    network = load()
    for path in sys.argv[1:]:
        with Image.open(path) as image, torch.inference_mode():
            probabilities = network(preprocess(image))[0].softmax(dim=0)
        best = probabilities.topk(min(5, len(CLASSES)))
        for probability, index in zip(best.values, best.indices):
            print(f"{path}: {CLASSES[index]} {probability:.1%}")
'''


def source_code(sidecar: Sidecar) -> str:
    """The whole module: constants, blocks, the network, loading, preprocessing.

    Deterministic, and formatted as `ruff format` formats it, without needing ruff.
    """
    network = network_source(sidecar)
    imports = [
        "import json",
        "import sys",
        *network.standard,
        "from pathlib import Path",
        "",
        "import torch",
        "from PIL import Image, ImageOps",
        "from safetensors.torch import load_file",
        "from torch import Tensor, nn",
        "from torch.nn import functional",
        *network.torchvision,
        "from torchvision.transforms.functional import pil_to_tensor",
    ]
    constants = [
        "FOLDER = Path(__file__).parent",
        'CLASSES = json.loads((FOLDER / "classes.json").read_text(encoding="utf-8"))',
        f"RESOLUTION = {sidecar.resolution}  # side of the network's input, in pixels",
        f"STORED_SIDE = {sidecar.side_to_decode}  # to which images are scaled first, as in training",
        f"MEAN = [{_numbers(sidecar.mean)}]  # of pixel values from 0 to 1",
        f"STD = [{_numbers(sidecar.std)}]",
    ]
    top = [_docstring(sidecar), "\n".join(imports), "\n".join(constants), "".join(network.aliases)]
    use = _USE.replace("{mode}", "L" if sidecar.in_channels == 1 else "RGB")
    opening = "\n\n".join(part.strip("\n") for part in top if part)
    return "\n\n\n".join([opening, *(part.strip("\n") for part in (*network.classes, use))]) + "\n"


def _docstring(sidecar: Sidecar) -> str:
    side, channels, blueprint = sidecar.resolution, sidecar.in_channels, sidecar.blueprint
    colour = "grey" if channels == 1 else "colour"
    size = f", {format_count(blueprint.num_params)} parameters" if blueprint else ""
    origin = f"the blueprint {blueprint.key}" if blueprint else f"the network {sidecar.architecture}"
    return f'''"""An image classifier: {side}x{side} {colour} pixels, {sidecar.num_classes} classes{size}.

    python network.py photo.jpg    # prints the likeliest classes

    from network import load

    network = load()
    logits = network(images)  # images: float, [batch, {channels}, {side}, {side}], from 0 to 1

Written by BetaNAS {__version__} from {origin};
torch, torchvision and safetensors are all it needs.
"""'''


def _numbers(values: Sequence[float]) -> str:
    """Numbers with as many digits as float32 tells apart."""
    return ", ".join(str(np.float32(value)) for value in values)
