"""Experiment trackers, through Accelerate: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from betanas.errors import MissingExtraError, RecipeError

TrackerName = Literal["tensorboard", "wandb", "mlflow"]


class Tracker(Protocol):
    """Is told how a training goes."""

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Note values at an optimiser step."""
        ...

    def close(self) -> None:
        """Nothing follows."""
        ...


class NoTracker:
    """Listens to nothing."""

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class AcceleratedTracker:
    """One of the trackers that Accelerate speaks to.

    Args:
        name: `tensorboard`, `wandb` or `mlflow`.
        folder: where it may write.
        project: what its runs are filed under.
        settings: of the run, noted at its start.

    Raises:
        RecipeError: there is no such tracker.
        MissingExtraError: its package is not installed.
    """

    def __init__(self, name: str, *, folder: Path, project: str, settings: Mapping[str, Any]) -> None:
        if name not in get_args(TrackerName):
            raise RecipeError(
                f"The trackers are {', '.join(get_args(TrackerName))}.", value=name, hint="Type --track tensorboard."
            )
        if find_spec(name) is None:
            raise MissingExtraError(name, extra=name, purpose=f"Tracking with {name}")
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=True, log_with=name, project_dir=str(folder))
        # TensorBoard takes numbers and words alone.
        plain = {key: value for key, value in settings.items() if isinstance(value, int | float | str | bool)}
        self._accelerator.init_trackers(project, config=plain)

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Note values at an optimiser step."""
        self._accelerator.log(dict(values), step=step)

    def close(self) -> None:
        """Write what is left and end the run."""
        self._accelerator.end_training()
