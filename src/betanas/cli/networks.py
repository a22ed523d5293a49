"""Networks as people name them on the command line: a study, a space, a benchmark network, a blueprint's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from betanas.blocks import space_title
from betanas.errors import BlueprintError, StudyError, did_you_mean
from betanas.pretrained.timm_networks import is_timm

if TYPE_CHECKING:
    from betanas.blueprint import Blueprint
    from betanas.data import DataSource
    from betanas.search.propose.listed import Entrant


def find_networks(
    names: Sequence[str],
    *,
    source: DataSource,
    resolution: int,
    trials: Sequence[int] = (),
    trusted: bool = False,
    blocks: str = "ordinary",
    sides: Mapping[str, int] = MappingProxyType({}),
    pretrained: bool = True,
) -> list[Entrant]:
    """The networks that names stand for, for a source's classes and channels.

    Args:
        names: as in `find_network`.
        source: decides classes and channels.
        resolution: side of the networks' input, in pixels.
        sides: of the networks that look at images of another size.
        pretrained: whether timm's networks have their pretrained weights.
        trials: of the one study among the names, instead of its best network.
        trusted: whether the Python files that a study names may be run.
        blocks: of the spaces' networks among them; other networks have their own.

    Raises:
        BlueprintError: as of `find_network`.
        StudyError: as of `find_network`, or trials are asked for of no study, or of several.
    """
    from betanas.spaces import available_spaces

    studies = [name for name in names if is_study(name)]
    spaces = available_spaces()
    if not set(names) & set(spaces):
        refuse_blocks(blocks, ", ".join(names))
    if trials and len(studies) != 1:
        raise StudyError(
            "Trials are chosen from one study.",
            value=", ".join(studies) or ", ".join(names),
            hint="Name one study's directory, or leave --trial out.",
        )
    return [
        find_network(
            name,
            source=source,
            resolution=sides.get(name, resolution),
            trial=trial,
            trusted=trusted,
            blocks=blocks if name in spaces else "ordinary",
            pretrained=pretrained,
        )
        for name in names
        for trial in (trials if trials and name in studies else (None,))
    ]


def refuse_blocks(blocks: str, name: str) -> None:
    """Refuse `--blocks` for a network that is what it is.

    Raises:
        BlueprintError: it was typed.
    """
    if blocks != "ordinary":
        raise BlueprintError(
            "Only the network of a space, or of a vector, can have other blocks.",
            value=f"{blocks} for {name}",
            hint="Leave --blocks out: studies, blueprints and named networks have their own.",
        )


def find_network(
    name: str,
    *,
    source: DataSource,
    resolution: int,
    trial: int | None = None,
    trusted: bool = False,
    blocks: str = "ordinary",
    pretrained: bool = True,
) -> Entrant:
    """The network that a name stands for, for a source's classes and channels.

    Args:
        name: a study's directory or URL (its best network), a space (its published network), a benchmark network, one
            of timm's (`timm:NAME`), or the file of a blueprint.
        source: decides classes and channels.
        resolution: side of the network's input, in pixels.
        trial: of a study, instead of its best network.
        trusted: whether the Python files that a study names may be run.
        blocks: of a space's network.
        pretrained: whether one of timm's has its pretrained weights.

    Raises:
        BlueprintError: the name is none of these, the blueprint is for other images, or the blocks are fixed.
        StudyError: there is no such study or trial, no trial has completed, or a file would be run untrusted.
    """
    from betanas.library import library_networks
    from betanas.models import available_networks
    from betanas.search.propose.listed import Entrant, benchmark_entrant, pretrained_entrant
    from betanas.spaces import available_spaces, get_space, published

    path, sizes = Path(name), {"num_classes": len(source.classes), "in_channels": source.in_channels}
    if name in available_networks() or (is_timm(name) and not pretrained):
        return benchmark_entrant(name, resolution=resolution, **sizes)
    if is_timm(name):
        return pretrained_entrant(name, resolution=resolution, **sizes)
    if (named := library_networks().get(name)) is not None:
        return Entrant.of(name, named.at(resolution=resolution, **sizes))
    if name in available_spaces():
        space = get_space(name, blocks=blocks)
        return Entrant.of(space_title(name, blocks), space.blueprint(published(name), resolution=resolution, **sizes))
    refuse_blocks(blocks, name)
    if is_study(name):
        return _of_study(name, resolution=resolution, sizes=sizes, trial=trial, trusted=trusted)
    if path.is_file():
        from betanas.blueprint import Blueprint

        blueprint = Blueprint.load(path)
        if not _fits(blueprint, resolution, sizes):
            raise BlueprintError(
                f"The blueprint {path.name} must have resolution {resolution}, {sizes['num_classes']} classes and "
                f"{sizes['in_channels']} channels, as the images have.",
                value=(blueprint.resolution, blueprint.num_classes, blueprint.in_channels),
                hint=f"Type --resolution {blueprint.resolution}, or choose the images it was made for.",
            )
        return Entrant.of(path.stem, blueprint)
    spaces, networks = available_spaces(), (*available_networks(), *library_networks())
    listed = f"The spaces are {', '.join(spaces)}; the networks {', '.join(networks)}, and timm:NAME."
    raise BlueprintError(
        "A network must be a study's directory, a space, a named network or a blueprint's file.",
        value=name,
        hint=did_you_mean(name, (*spaces, *networks), listed),
    )


def is_study(name: str) -> bool:
    """Whether a name is to be opened as a study: a directory or a database, and no network's name.

    A directory that bears a network's name is opened as `./name`.
    """
    if "://" in name:
        return True
    if not Path(name).is_dir() or Path(name).name != name:
        return Path(name).is_dir()
    from betanas.library import library_networks
    from betanas.models import available_networks
    from betanas.spaces import available_spaces

    return name not in (*available_networks(), *library_networks(), *available_spaces())


def sizes_or(typed: tuple[int | None, int | None, int | None], otherwise: tuple[int, int, int]) -> tuple[int, int, int]:
    """Resolution, classes and channels: those that were typed, and others for those that were not.

    Raises:
        SpaceError: one of them is out of bounds.
    """
    from betanas.spaces.base import check_input

    resolution, classes, channels = (other if own is None else own for own, other in zip(typed, otherwise, strict=True))
    return check_input(resolution, classes, channels)


def _fits(blueprint: Blueprint, resolution: int, sizes: dict[str, int]) -> bool:
    found = {"num_classes": blueprint.num_classes, "in_channels": blueprint.in_channels}
    return blueprint.resolution == resolution and found == sizes


def _of_study(name: str, *, resolution: int, sizes: dict[str, int], trial: int | None, trusted: bool) -> Entrant:
    from betanas.search.planning import space_of
    from betanas.search.propose.listed import Entrant
    from betanas.search.study import Study
    from betanas.trust import check_trust

    with Study.open(name) as study:
        plan, title = study.plan, study.name
        if trial is None:
            best = study.best()
            vector, blueprint = best.vector, best.blueprint
        else:
            vector, blueprint = study.trial(trial).vector, study.blueprint(trial)
            title = f"{title}, trial {trial}"
    if not _fits(blueprint, resolution, sizes):
        check_trust({"space": plan.search.space}, trusted=trusted)
        blueprint = space_of(plan).blueprint(vector, resolution=resolution, **sizes)
    return Entrant.of(title, blueprint, vector=vector)
