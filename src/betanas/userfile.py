"""A user's own Python file: whether a name stands for one, and running it for what it registers or defines."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from betanas.errors import StudyError, UserError


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


def run_plugins(files: Iterable[str | Path]) -> None:
    """Run Python files for what they register.

    Raises:
        StudyError: a file is missing, or fails.
    """
    for file in files:
        run_user_file(Path(file), kind="The plug-in", error=StudyError)


def run_user_file(path: Path, *, kind: str, error: type[UserError], hint: str = "") -> ModuleType:
    """The module that a Python file makes. Only for files that a person has named, since it runs them.

    Args:
        path: the file.
        kind: what it is, as a message begins with it ("The search space's file").
        error: what is raised.
        hint: what the file is for, where it is missing.

    Raises:
        UserError: of the kind asked for: the file is missing, or raises something.
    """
    if not path.is_file():
        raise error(f"{kind} must exist.", value=str(path), hint=hint)
    # Files of one name in two folders are two modules: their classes are not to be taken for each other.
    folder = hashlib.sha256(str(path.resolve().parent).encode(errors="surrogateescape")).hexdigest()[:8]
    name = f"betanas_user_file_{path.stem}_{folder}"
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # noqa: S101 - there is one where a loader is given
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickle look their class's module up there
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as failure:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise cannot_load(kind, str(path), failure, error=error) from failure
    return module


def cannot_load(kind: str, where: str, failure: BaseException, *, error: type[UserError]) -> UserError:
    """The error for somebody's code that cannot be loaded: which file or package, what it raised, and in which line.

    Args:
        kind: what it is, as a message begins with it.
        where: the file, or the entry point and its package.
        failure: what was raised.
        error: the kind of error to make.
    """
    frames = [frame for frame in traceback.extract_tb(failure.__traceback__) if frame.filename == where]
    line = f" in line {frames[-1].lineno}" if frames else ""
    return error(f"{kind} must load without errors.", value=where, hint=f"{type(failure).__name__}{line}: {failure}")
