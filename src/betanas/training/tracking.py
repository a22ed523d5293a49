"""Experiment trackers, through Accelerate: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from betanas.errors import RecipeError
from betanas.extras import require

TrackerName = Literal["tensorboard", "wandb", "mlflow"]


_HINTS = {
    "wandb": "Type wandb login, or set WANDB_MODE=offline.",
    "mlflow": "Check where MLFLOW_TRACKING_URI points.",
}


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

    All of them write into the folder, unless their own settings say otherwise: W&B sends to its server where one has
    logged in (`WANDB_MODE=offline` keeps it from that), MLflow to where `MLFLOW_TRACKING_URI` points.

    Args:
        name: `tensorboard`, `wandb` or `mlflow`.
        folder: where it writes.
        project: what its runs are filed under.
        settings: of the run, noted at its start.
        cpu: whether the training keeps to the processor; among several processes Accelerate must be told what it was
            told before.

    Raises:
        RecipeError: there is no such tracker, or it cannot begin.
        MissingExtraError: its package is not installed.
    """

    def __init__(self, name: str, *, folder: Path, project: str, settings: Mapping[str, Any], cpu: bool = True) -> None:
        if name not in get_args(TrackerName):
            raise RecipeError(
                f"The trackers are {', '.join(get_args(TrackerName))}.", value=name, hint="Type --track tensorboard."
            )
        require((name, "accelerate"), extra=name, purpose=f"Tracking with {name}")
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=cpu, log_with=name, project_dir=str(folder))
        # TensorBoard takes numbers and words alone.
        plain = {key: value for key, value in settings.items() if isinstance(value, int | float | str | bool)}
        folder.mkdir(parents=True, exist_ok=True)
        places = {"wandb": {"dir": str(folder)}, "mlflow": {"logging_dir": (folder / "mlflow").resolve().as_uri()}}
        try:
            if name == "mlflow" and "MLFLOW_TRACKING_URI" not in os.environ:
                import_module("mlflow").set_tracking_uri(f"sqlite:///{folder.resolve() / 'mlflow.db'}")
            self._accelerator.init_trackers(project, config=plain, init_kwargs=places)
        except Exception as error:  # whatever a service thinks of: no network, no key, a damaged store
            raise RecipeError(
                f"The tracker {name} must be able to begin.", value=str(error), hint=_HINTS.get(name, "")
            ) from error

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Note values at an optimiser step."""
        self._accelerator.log(dict(values), step=step)

    def close(self) -> None:
        """Write what is left and end the run."""
        self._accelerator.end_training()
