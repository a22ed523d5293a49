"""The contract every executor keeps: jobs go in, events come out, and nothing a trial does reaches the search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from betanas.search.settings import MachineSettings
from betanas.training.compression import Compression
from betanas.training.job import Job
from betanas.training.result import CurvePoint, TrialResult


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker needs to know once, before its first trial. Plain values: it crosses a process boundary as JSON.

    Attributes:
        first: a job whose images are read before the worker says that it is ready; most often all have the same.
        data_root: where downloaded data sets lie; None for the default places.
        stoppable: whether the study wants to judge each curve point before training goes on.
        plugins: Python files of the user's to run first: they register data sources, blocks, whatever a trial needs.
        compression: of the gradients, where several processes train a trial together.
    """

    first: Job
    data_root: str | None = None
    stoppable: bool = False
    plugins: tuple[str, ...] = ()
    compression: Compression = "none"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One attempt at a trial, for a worker.

    Attributes:
        index: the trial's index.
        attempt: 1 at the first try.
        job: what is trained.
        folder: where the training keeps its checkpoints; given exactly where the job is kept.
    """

    index: int
    attempt: int
    job: Job
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A worker began to train a trial."""

    index: int
    attempt: int
    device: str


@dataclass(frozen=True, slots=True)
class TrialPoint:
    """A running trial's learning curve has a new point."""

    index: int
    attempt: int
    point: CurvePoint


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial has its result, good or bad."""

    index: int
    attempt: int
    result: TrialResult


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker has loaded its libraries and data and waits for its first trial."""

    device: str


ExecutorEvent = WorkerReady | TrialStarted | TrialPoint | TrialEnded


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a trial may take, beside its training.

    Attributes:
        preparation: seconds a trial may take to come to the first step that its budget clock counts (building,
            planning, recording, compiling; reading images, where those are not its worker's first).
        grace: seconds beside its budget that a trial with one in seconds may take from that step on (evaluation); it is
            then killed.
        silence: seconds a trial with a budget in steps or epochs may go without a new curve point.
        start: seconds a worker may take to load its libraries and data.
    """

    preparation: float = 1800.0
    grace: float = 60.0
    silence: float = 1800.0
    start: float = 1800.0


@dataclass(frozen=True, slots=True)
class ExecutorSettings(MachineSettings):
    """The machine's settings, and what an executor needs beside them.

    Attributes:
        log_folder: where the trials' logs go; None for nowhere.
        log_bytes: the most that is kept of what one trial prints.
        patience: how long a trial may take.
    """

    log_folder: Path | None = None
    log_bytes: int = 1_000_000
    patience: Patience = Patience()


class Executor(ABC):
    """Trains trials somewhere else.

    Whatever happens to a trial (it raises, hangs, runs out of memory, its process is killed) comes back as one
    `TrialEnded`, exactly once for every job that was submitted and not cancelled. Used as a context manager; leaving
    it ends every worker and frees its devices.

    Attributes:
        name: what the command line calls it.
    """

    name: ClassVar[str]

    def __init__(self, setup: WorkerSetup, settings: ExecutorSettings) -> None:
        self.setup = setup
        self.settings = settings

    @abstractmethod
    def start(self) -> None:
        """Begin to bring the workers up; returns before they are ready.

        Raises:
            DeviceError: a device that was asked for is not there.
        """

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Trials that can run at the same time."""

    @property
    @abstractmethod
    def idle(self) -> int:
        """Trials that could be submitted now and would begin at once."""

    @abstractmethod
    def submit(self, assignment: Assignment) -> None:
        """Hand over a trial; only while `idle` is positive."""

    @abstractmethod
    def poll(self, timeout: float) -> list[ExecutorEvent]:
        """What happened since the last call, waiting up to `timeout` seconds for something to happen.

        Raises:
            UserError: the workers cannot start at all (the data are gone, the device refuses): no trial's fault.
        """

    @abstractmethod
    def answer(self, index: int, step: int, *, go_on: bool) -> None:
        """After a `TrialPoint` of a stoppable set-up: let the trial go on, or end it there (outcome `stopped`).

        Args:
            index: of the trial.
            step: of the curve point that is answered.
            go_on: False ends the trial, at this point or, where the answer is late, at the next one.
        """

    @abstractmethod
    def close(self) -> None:
        """End every worker now, whatever it does."""

    def restart(self) -> None:
        """End every worker now, whatever it does, and begin to bring up others."""
        self.close()
        self.start()

    @property
    def shares_disk(self) -> bool:
        """Whether its workers see this machine's disk, where trainings keep their checkpoints."""
        return True

    @property
    def proposes_ahead(self) -> bool:
        """Whether the next suggestion may be computed while trials run, because they train on other hardware."""
        return False

    @contextmanager
    def proposing(self) -> Iterator[int]:
        """Held while a suggestion is computed; gives the number of threads that may be used for it.

        An executor whose trials train on this machine's processor keeps the computation off the cores of running
        trials, since it would steal from their training budget.
        """
        yield 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
