"""Sources of images by name, by folder, and a user's own."""

from __future__ import annotations

from pathlib import Path

from betanas.data.source import DataSource
from betanas.errors import DataError, did_you_mean
from betanas.registry import Registry

SOURCES: Registry[type[DataSource]] = Registry(
    "data source",
    group="betanas.sources",
    error=DataError,
    built_in={
        "digits": "betanas.data.digits:Digits",
        "fashion-mnist": "betanas.data.fashion_mnist:FashionMNIST",
        "cifar10": "betanas.data.cifar:CIFAR10",
        "cifar100": "betanas.data.cifar:CIFAR100",
    },
    base=DataSource,
    register="betanas.register_source",
)
register_source, available_sources = SOURCES.register, SOURCES.names


def open_source(name_or_path: str | Path, *, root: Path | None = None) -> DataSource:
    """A source of images by name or path. No image is decoded yet.

    Args:
        name_or_path: a name of `available_sources`, an image folder, or a `.py` file that registers exactly one source.
            A folder that bears a source's name is opened as `./name`.
        root: where a named source looks for its files first.

    Raises:
        DataError: there is no such source, or it does not hold what it should.
    """
    name = str(name_or_path)
    found = SOURCES.find(name)
    source = found(root) if found is not None else _open_path(name)
    if len(source.classes) < 2:
        raise DataError("There must be at least two classes to tell apart.", value=list(source.classes))
    return source


def _open_path(name: str) -> DataSource:
    path = Path(name).expanduser()
    if path.is_dir():
        from betanas.data.layouts.recognise import open_folder  # with Pillow and torch

        return open_folder(path.resolve())
    if path.is_file():
        raise DataError(
            "An image folder must be a folder.",
            value=name,
            hint="Unpack it if it is an archive, and give the folder; a .py file may register a source of your own.",
        )
    if path.name != name:
        raise DataError("The image folder must exist.", value=name, hint="Check the path.")
    known = available_sources()
    raise DataError(
        f"Data must be one of {', '.join(known)} or an image folder.",
        value=name,
        hint=did_you_mean(name, known, "There is no folder of that name either."),
    )
