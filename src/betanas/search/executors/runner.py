"""From a worker's set-up to results: trains one trial after another, with images and device kept warm between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from betanas.errors import DataError, UserError
from betanas.search.executors.base import Assignment, WorkerSetup
from betanas.training.processes import OneProcess, Processes
from betanas.training.result import CurvePoint, TrialResult
from betanas.training.trainer import Trainer
from betanas.userfile import run_plugins


class TrialRunner:
    """Trains trials in this process."""

    def __init__(
        self,
        setup: WorkerSetup,
        *,
        device: str,
        threads: int | None,
        processes: Processes = OneProcess(),  # noqa: B008 - it has no state
    ) -> None:
        run_plugins(setup.plugins)
        root = Path(setup.data_root) if setup.data_root else None
        self._trainer = Trainer(device=device, threads=threads, processes=processes, data_root=root)
        self._processes = processes
        self._trainer.prepare(setup.first.images, setup.first.recipe)

    @property
    def device(self) -> str:
        """What trials train on, in words."""
        return self._trainer.device_name

    def run(
        self,
        assignment: Assignment,
        on_point: Callable[[CurvePoint], bool],
        on_clock: Callable[[], None] = lambda: None,
    ) -> TrialResult:
        """Train one trial.

        Args:
            assignment: what is trained.
            on_point: shown each curve point; says whether to go on.
            on_clock: called before the first step that the budget counts.
        """
        try:
            return self._trainer.train(assignment.job, folder=assignment.folder, on_point=on_point, on_clock=on_clock)
        except UserError as error:  # its images are not there, or its checkpoint is damaged: no other trial's business
            return TrialResult("failed", "data" if isinstance(error, DataError) else "exception", str(error))
        except OSError as error:  # a full disk, most of all; the process itself is as good as before
            if self._processes.share.size > 1:
                raise  # the others wait for this one: their end tells the search
            where = error.filename or assignment.folder
            return TrialResult("failed", "exception", f"{error.strerror or error}: {where}")
