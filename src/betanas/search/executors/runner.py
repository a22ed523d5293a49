"""From a worker's set-up to results: opens the data once, then trains one trial after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from betanas.data import open_source, open_splits
from betanas.errors import DataError
from betanas.search.executors.base import TrialJob, WorkerSetup
from betanas.training.device import describe_device
from betanas.training.engine import TrialEngine
from betanas.training.processes import OneProcess, Processes
from betanas.training.recipe import Recipe
from betanas.training.result import CurvePoint, TrialResult
from betanas.userfile import run_plugins


class TrialRunner:
    """Trains trials in this process, with data and device kept warm between them."""

    def __init__(
        self,
        setup: WorkerSetup,
        *,
        device: str,
        threads: int | None,
        processes: Processes = OneProcess(),  # noqa: B008 - it has no state
    ) -> None:
        run_plugins(setup.plugins)
        source = open_source(setup.data, root=Path(setup.data_root) if setup.data_root else None)
        if source.fingerprint != setup.data_fingerprint:
            raise DataError(
                "The data must be the same as when the study began.",
                value=setup.data,
                hint="Put the images back as they were, or start a new study for the new ones.",
            )
        splits = open_splits(
            source,
            resolution=setup.resolution,
            seed=setup.split_seed,
            validation_share=setup.validation_share,
        )
        self._engine = TrialEngine(
            splits,
            resolution=setup.resolution,
            recipe=Recipe.from_dict(setup.recipe),
            device=device,
            batch_size=setup.batch_size,
            threads=threads,
            processes=processes,
        )
        self._count = processes.share.size

    @property
    def device(self) -> str:
        """What trials train on, in words."""
        return describe_device(self._engine.device, processes=self._count)

    def run(self, job: TrialJob, on_point: Callable[[CurvePoint], bool]) -> TrialResult:
        """Train one trial; `on_point` is shown each curve point and says whether to go on."""
        return self._engine.run(job.blueprint, budget=job.budget, seed=job.seed, on_point=on_point)
