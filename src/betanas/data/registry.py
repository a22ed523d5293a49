"""Sources of images by name, by folder, and a user's own."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import TypeVar

from betanas.data.layouts.recognise import open_folder
from betanas.data.source import DataSource
from betanas.errors import DataError
from betanas.userfile import python_file, run_user_file

ENTRY_POINT_GROUP = "betanas.sources"

# Where each is, so that opening one does not import what the others need.
_BUILT_IN = {
    "digits": "betanas.data.digits:Digits",
    "fashion-mnist": "betanas.data.fashion_mnist:FashionMNIST",
    "cifar10": "betanas.data.cifar:CIFAR10",
    "cifar100": "betanas.data.cifar:CIFAR100",
}

_SOURCES: dict[str, type[DataSource]] = {}
_Source = TypeVar("_Source", bound=type[DataSource])


def register_source(source: _Source) -> _Source:
    """Make a source known by its name; usable as a class decorator.

    Raises:
        DataError: another source has that name.
    """
    known = _SOURCES.get(source.name)
    if source.name in _BUILT_IN or (known is not None and known.__qualname__ != source.__qualname__):
        raise DataError("A data source must have a name of its own.", value=source.name)
    _SOURCES[source.name] = source
    return source


def available_sources() -> tuple[str, ...]:
    """The names `open_source` knows."""
    found = [entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)]
    return tuple(dict.fromkeys([*_BUILT_IN, *_SOURCES, *found]))


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
    found = _find(name)
    source = found(root) if found is not None else _open_path(name, root)
    if len(source.classes) < 2:
        raise DataError("There must be at least two classes to tell apart.", value=list(source.classes))
    return source


def _find(name: str) -> type[DataSource] | None:
    if name in _BUILT_IN:
        built_in: type[DataSource] = resolve_name(_BUILT_IN[name])
        return built_in
    if name not in _SOURCES:
        for entry in entry_points(group=ENTRY_POINT_GROUP):
            if entry.name == name:
                register_source(entry.load())
    return _SOURCES.get(name)


def _open_path(name: str, root: Path | None) -> DataSource:
    if file := python_file(name):
        return _load_file(file)(root)
    path = Path(name).expanduser()
    if path.is_dir():
        return open_folder(path.resolve())
    if path.is_file():
        raise DataError(
            "An image folder must be a folder.",
            value=name,
            hint="Unpack it if it is an archive, and give the folder; a .py file may register a source of your own.",
        )
    if path.name != name:
        raise DataError("The image folder must exist.", value=name, hint="Check the path.")
    alike = get_close_matches(name.casefold(), available_sources(), n=1)
    raise DataError(
        f"Data must be one of {', '.join(available_sources())} or an image folder.",
        value=name,
        hint=f"Did you mean {alike[0]}?" if alike else "There is no folder of that name either.",
    )


def _load_file(path: Path) -> type[DataSource]:
    before = dict(_SOURCES)
    run_user_file(path, kind="A data source's file", error=DataError)
    added = [source for name, source in _SOURCES.items() if before.get(name) is not source]
    if len(added) != 1:
        raise DataError(
            "A data source's file must register exactly one source.",
            value=len(added),
            hint="Define a subclass of betanas.data.ArraySource and decorate it with register_source.",
        )
    return added[0]
