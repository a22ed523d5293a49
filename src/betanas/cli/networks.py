"""Networks as people name them on the command line: a study, a space, a benchmark network, a blueprint's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from betanas.blueprint import Blueprint
from betanas.errors import BlueprintError

if TYPE_CHECKING:
    from betanas.data import DataSource
    from betanas.training.comparison import Entrant


def find_network(name: str, *, source: DataSource, resolution: int) -> Entrant:
    """The network that a name stands for, for a source's classes and channels.

    Args:
        name: a study's directory (its best network), a space (its published network), a benchmark network, or the
            file of a blueprint.
        source: decides classes and channels.
        resolution: side of the network's input, in pixels.

    Raises:
        BlueprintError: the name is none of these, or the blueprint is for other images.
    """
    from betanas.models.benchmarks import available_networks
    from betanas.spaces import available_spaces, get_space, published

    if name in available_networks():
        return _benchmark(name, source=source, resolution=resolution)
    path, sizes = Path(name), {"num_classes": len(source.classes), "in_channels": source.in_channels}
    if name in available_spaces():
        return _of_blueprint(name, get_space(name).blueprint(published(name), resolution=resolution, **sizes))
    if path.is_dir() or "://" in name:
        return _of_study(name, resolution=resolution, sizes=sizes)
    if path.is_file():
        blueprint = Blueprint.load(path)
        found = (blueprint.resolution, blueprint.num_classes, blueprint.in_channels)
        if found != (resolution, sizes["num_classes"], sizes["in_channels"]):
            raise BlueprintError(
                f"The blueprint {path.name} must have resolution {resolution}, {sizes['num_classes']} classes and "
                f"{sizes['in_channels']} channels, as the images have.",
                value=found,
                hint=f"Type --resolution {blueprint.resolution}, or choose the images it was made for.",
            )
        return _of_blueprint(path.stem, blueprint)
    raise BlueprintError(
        "A network must be a study's directory, a space, a benchmark network or a blueprint's file.",
        value=name,
        hint=f"The spaces are {', '.join(available_spaces())}; the networks {', '.join(available_networks())}.",
    )


def _of_blueprint(name: str, blueprint: Blueprint) -> Entrant:
    from betanas.training.comparison import Entrant

    return Entrant(name, blueprint.to_dict(), blueprint.build, blueprint.num_params, blueprint.macs)


def _of_study(name: str, *, resolution: int, sizes: dict[str, int]) -> Entrant:
    from betanas.search.study import Study
    from betanas.spaces import get_space

    with Study.open(name) as study:
        best, space = study.best(), study.plan.space
    if best.blueprint.resolution == resolution:
        return _of_blueprint(Path(name).name, best.blueprint)
    if space.endswith(".py"):  # a stranger's study must not run a stranger's file
        raise BlueprintError(
            "A study whose space is a file of its author's gives its network at its own resolution alone.",
            value=resolution,
            hint=f"Type --resolution {best.blueprint.resolution}.",
        )
    return _of_blueprint(Path(name).name, get_space(space).blueprint(best.vector, resolution=resolution, **sizes))


def _benchmark(name: str, *, source: DataSource, resolution: int) -> Entrant:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from betanas.models.benchmarks import benchmark_network
    from betanas.training.comparison import Entrant

    classes, channels = len(source.classes), source.in_channels

    def build() -> torch.nn.Module:
        return benchmark_network(name, num_classes=classes, in_channels=channels)

    with torch.device("meta"):
        network = build().eval()
        counter = FlopCounterMode(display=False)
        with counter:
            network(torch.empty(1, channels, resolution, resolution))
    params = sum(parameter.numel() for parameter in network.parameters())
    architecture = {"network": name, "num_classes": classes, "in_channels": channels}
    # Torch counts a multiply-accumulate as two operations.
    return Entrant(name, architecture, build, params, counter.get_total_flops() // 2)
