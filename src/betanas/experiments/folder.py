"""An experiment's folder: its plan, what it has measured so far, and in the end its result."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from betanas.environment import hardware, versions
from betanas.errors import StoreError
from betanas.experiments.errors import ExperimentError
from betanas.files import read_json
from betanas.training.files import write_json

FORMAT_VERSION = 1
_RESULT = "results.json"
_PLAN = "plan.json"
_LOCK = "experiment.lock"

# Settings that came later, with what experiments did before.
_LATER = {"blocks": "ordinary"}


class ExperimentFolder:
    """Holds one experiment.

    Args:
        path: the folder; made when the experiment begins.
        experiment: which one: `scaling`, `search` or `objective`.
    """

    def __init__(self, path: Path, experiment: str) -> None:
        self.path = path
        self._experiment = experiment

    def derived(self, settings: Mapping[str, Any], *, free: Collection[str]) -> dict[str, Any] | None:
        """What was worked out from these settings when the experiment began; None where it has not begun.

        Args:
            settings: of the experiment, as plain data.
            free: those that may change from one run to the next, because measurements do not depend on them.

        Raises:
            ExperimentError: the folder holds something else.
        """
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return None
        try:
            stored = read_json(self.path / _PLAN)
            kept, derived = dict(stored["settings"]), dict(stored["derived"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ExperimentError(
                "An experiment needs a new folder, or its own from before.",
                value=str(self.path),
                hint="Choose another with --folder.",
            ) from error
        wanted = json.loads(json.dumps(settings))
        differing = [name for name in wanted if name not in free and kept.get(name, _LATER.get(name)) != wanted[name]]
        if stored.get("experiment") != self._experiment:
            differing = ["experiment"]
        if differing:
            raise ExperimentError(
                f"The folder {self.path} holds an experiment with another {' and '.join(differing)}.",
                hint="Type the same command as before to go on with it, or choose another folder.",
            )
        return derived

    def begin(self, settings: Mapping[str, Any], derived: Mapping[str, Any]) -> None:
        """Write the plan down."""
        plan = {"format": FORMAT_VERSION, "experiment": self._experiment, "settings": settings, "derived": derived}
        write_json(self.path / _PLAN, plan)

    def finish(self, settings: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Write the result, with what it was made on, and give it back as plain JSON values.

        Of files and folders the last part of the name is kept: a result is to be shown to others.

        Args:
            settings: of the experiment, as plain data.
            document: what was measured and concluded.
        """
        whole = {
            "format": FORMAT_VERSION,
            "experiment": self._experiment,
            "settings": {name: _last_part(value) for name, value in settings.items()},
            **document,
            "hardware": hardware(),
            "versions": versions(),
        }
        plain: dict[str, Any] = json.loads(json.dumps(whole, allow_nan=False))
        write_json(self.path / _RESULT, plain)
        return plain

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep a second process off the folder; the system frees it however its holder dies.

        Raises:
            ExperimentError: another process runs the experiment.
            StoreError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / _LOCK)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise ExperimentError(
                "An experiment can be run by one process at a time.",
                value=str(self.path),
                hint="Wait for the other one, or stop it with Ctrl-C.",
            ) from error
        except OSError as error:
            raise StoreError(
                f"The experiment cannot be written: {error.strerror or error}.", value=str(self.path)
            ) from error
        try:
            yield
        finally:
            lock.release()


def _last_part(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and "/" in value else value
