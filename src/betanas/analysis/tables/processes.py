"""Time of an epoch against the number of processes (Figure 17).

It comes from an attachment of kind `profile` whose document is

    {"format": 1, "title": str, "network": str, "data": str,
     "entries": [{"processes": int, "epoch_seconds": [float, ...]}, ...]}

with one measured epoch an element of `epoch_seconds`.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from betanas.analysis.errors import AnalysisError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.documents import attached, readable
from betanas.analysis.tables.table import Table

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """Epoch time with a number of processes.

    Attributes:
        processes: how many trained together.
        epochs: how many epochs were measured.
        median, low, high: seconds of an epoch: the median and the extremes.
        speedup: against the fewest processes measured.
        efficiency: speedup over the growth in processes.
    """

    processes: int
    epochs: int
    median: float
    low: float
    high: float
    speedup: float
    efficiency: float


@dataclass(frozen=True, slots=True)
class ProcessScaling:
    """A profile: what was trained, and a row a number of processes."""

    network: str
    data: str
    rows: Table[ProcessRow]


def parse_processes(document: Mapping[str, Any]) -> ProcessScaling:
    """Read a profile's document.

    Raises:
        AnalysisError: it is not one, or of a newer format.
    """
    with readable("A profile's document", document, FORMAT_VERSION):
        measured = sorted(
            (int(entry["processes"]), [float(value) for value in entry["epoch_seconds"]])
            for entry in document["entries"]
            if entry["epoch_seconds"]
        )
        words = {name: str(document.get(name, "")) for name in ("network", "data")}
    if not measured or measured[0][0] < 1 or min(min(values) for _, values in measured) <= 0:
        raise AnalysisError("A profile must hold positive epoch times of at least one process.")
    fewest, base = measured[0][0], statistics.median(measured[0][1])
    rows = []
    for processes, values in measured:
        median = statistics.median(values)
        speed = base / median
        rows.append(
            ProcessRow(processes, len(values), median, min(values), max(values), speed, speed * fewest / processes)
        )
    return ProcessScaling(rows=Table(tuple(rows)), **words)


def processes_of(snapshot: StudySnapshot) -> ProcessScaling:
    """A study's newest profile of epoch time against processes.

    Raises:
        MissingDataError: there is none.
        AnalysisError: it is damaged.
    """
    missing = "This study holds no profile of epoch time against processes."
    return attached(snapshot, "profile", parse_processes, missing)
