"""A data source of one's own: circles and squares, drawn when they are asked for.

`ArraySource` is for images that fit into memory; `read` gives a part of them as arrays. They may come from anywhere: a
database, a microscope's format, a simulation.

    betanas search --data examples/custom_source.py --study runs/shapes --budget 6s --trials 12
"""

import numpy as np

import betanas as bn

COUNTS = {"train": 600, "test": 200}


@bn.register_source
class Shapes(bn.ArraySource):
    """Grey images of 24x24 pixels."""

    name = "shapes"
    classes = ("circle", "square")
    in_channels = 1
    side = 24
    parts = ("train", "test")
    mirror_safe = True  # the mirror image of a circle is a circle

    def read(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Images, uint8 of shape [n, 1, 24, 24], and labels, integers of shape [n]."""
        count = COUNTS[part]
        generator = np.random.default_rng(count)  # the same images each time they are read
        labels = np.arange(count) % 2
        centres, radii = generator.uniform(8, 16, (count, 2)), generator.uniform(3, 8, count)
        rows, columns = np.mgrid[:24, :24]
        down, across = (abs(axis - centres[:, i, None, None]) for i, axis in enumerate((rows, columns)))
        circle = down**2 + across**2 < radii[:, None, None] ** 2
        square = np.maximum(down, across) < 0.8 * radii[:, None, None]
        inside = np.where(labels[:, None, None] == 0, circle, square)
        images = 40 + 150 * inside + generator.normal(0, 20, inside.shape)
        return images.clip(0, 255).astype(np.uint8)[:, None], labels
