"""A user's own Python file: whether a name stands for one, and running it for what it registers or defines."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from betanas.errors import UserError


def python_file(name: str | Path) -> Path | None:
    """The Python file that a name stands for, as a whole path; None where it stands for something else.

    Whoever runs files and whoever decides whether they may be run both ask here. What counts is where the name leads
    to, not how it is spelled: `mine.py/`, `mine.py/.`, `MINE.PY` and a link to `mine.py` are that file. A file that is
    not there counts too, so that the message is about a missing file; a folder called `photos.py` does not.
    """
    try:
        path = Path(name).expanduser()
        written, found = path.absolute(), path.resolve()
        if found.is_dir():
            return None
    except (OSError, RuntimeError, ValueError):  # links in a circle, nobody's home, a zero byte
        written = found = Path(name)
    return next((path for path in (found, written) if path.name.casefold().endswith(".py")), None)


def run_user_file(path: Path, *, kind: str, error: type[UserError], hint: str = "") -> ModuleType:
    """The module that a Python file makes. Only for files that a person has named, since it runs them.

    Args:
        path: the file.
        kind: what it is, as a message begins with it ("A search space's file").
        error: what is raised; one that the file itself raises passes through.
        hint: what the file is for, where it is missing.

    Raises:
        UserError: of the kind asked for: the file is missing, or raises something.
    """
    if not path.is_file():
        raise error(f"{kind} must exist.", value=str(path), hint=hint)
    name = f"betanas_user_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=SourceFileLoader(name, str(path)))
    if spec is None or spec.loader is None:
        raise error(f"{kind} must be Python.", value=str(path), hint=hint)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their class's module up there
    try:
        spec.loader.exec_module(module)
    except error:
        raise
    except Exception as failure:
        raise error(
            f"{kind} must run without errors.", value=str(path), hint=f"{type(failure).__name__}: {failure}"
        ) from failure
    return module
