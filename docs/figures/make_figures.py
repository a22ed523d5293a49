"""Draw the figures of docs/method.md: python docs/figures/make_figures.py (needs the extra `plot` and Chromium)."""

from __future__ import annotations

from pathlib import Path

from betanas.analysis.figures.architecture import schematic
from betanas.analysis.figures.costs import scaling_curve
from betanas.analysis.figures.placement import beta_quantiles, placement
from betanas.analysis.formats import figure_image
from betanas.analysis.tables.placement import quantile_curves, shape_of
from betanas.analysis.tables.scaling import scaling
from betanas.analysis.tables.table import Table
from betanas.spaces import get_space, published

HERE = Path(__file__).parent
IMAGES = {"resolution": 224, "num_classes": 100, "in_channels": 3}


def main() -> None:
    """Write every figure beside this file."""
    space, vector = get_space("betanet3"), published("betanet3")
    rows = [
        row
        for name in ("betanet2", "betanet3")
        for row in scaling(get_space(name), {name: published(name)}, num_classes=100).rows
    ]
    figures = {
        "schematic": schematic(space.blueprint(vector, **IMAGES), title="The published BetaNet3 at 224 pixels"),
        "quantiles": beta_quantiles(quantile_curves()),
        "placement": placement(shape_of(space, vector, **IMAGES)),
        "scaling": scaling_curve(Table(tuple(rows)), "params"),
    }
    for name, figure in figures.items():
        (HERE / f"{name}.svg").write_bytes(figure_image(figure, "svg"))


if __name__ == "__main__":
    main()
