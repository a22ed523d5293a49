"""Running a user's own Python file, for what it registers or defines."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from betanas.errors import UserError


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
    spec = importlib.util.spec_from_file_location(name, path)
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
