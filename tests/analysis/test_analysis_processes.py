from __future__ import annotations

import pytest

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.processes import parse_processes, processes_of


def test_speedup_and_efficiency_by_hand() -> None:
    document = {
        "format": 1,
        "network": "ResNet50",
        "entries": [{"processes": 4, "epoch_seconds": [30.0]}, {"processes": 1, "epoch_seconds": [90, 100, 140]}],
    }
    first, second = parse_processes(document).rows
    assert (first.processes, first.median, first.low, first.high, first.epochs) == (1, 100, 90, 140, 3)
    assert (first.speedup, first.efficiency) == (1, 1)
    assert second.speedup == pytest.approx(100 / 30)
    assert second.efficiency == pytest.approx(100 / 120)


@pytest.mark.parametrize(
    "document",
    [
        {"format": 2},
        {"format": 1},
        {"format": 1, "entries": []},
        {"format": 1, "entries": [{"processes": 1, "epoch_seconds": [0.0]}]},
        {"format": 1, "entries": [{"processes": 0, "epoch_seconds": [1.0]}]},
        {"format": 1, "entries": [{"processes": "x", "epoch_seconds": [1.0]}]},
    ],
)
def test_a_damaged_profile_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(AnalysisError):
        parse_processes(document)


def test_a_study_without_profile_says_so(snapshot: StudySnapshot, empty_snapshot: StudySnapshot) -> None:
    assert processes_of(snapshot).network == "ResNet50"
    with pytest.raises(MissingDataError, match="profile"):
        processes_of(empty_snapshot)
