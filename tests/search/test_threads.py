"""How many threads a search's trials compute with: decided once, by a measurement or by a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from betanas.search import threads as threads_module
from betanas.search.executors import slots as slots_module
from betanas.search.executors.base import ExecutorSettings
from betanas.search.executors.slots import plan_slots
from betanas.search.planning import problem_of
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan
from betanas.search.settings import ResumeSettings
from betanas.training.budget import Budget
from betanas.training.threads import gain_of_threads, threads_for


class Notes(SearchListener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def on_note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def long(plan: StudyPlan, monkeypatch: pytest.MonkeyPatch) -> StudyPlan:
    """A search long enough to measure, on four cores."""
    monkeypatch.setattr(slots_module, "available_cores", lambda: (0, 1, 2, 3))
    return plan.changed(budget="60s", executor="local")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[int]]:
    """Has the measurement find a gain; gives the numbers of threads that it is asked about."""

    def found(gain: float) -> list[int]:
        asked: list[int] = []

        def gain_of(*_: object, threads: int, **__: object) -> float:
            asked.append(threads)
            return gain

        monkeypatch.setattr("betanas.training.threads.gain_of_threads", gain_of)
        return asked

    return found


def decided(plan: StudyPlan, *, trials: float = 20) -> tuple[int | None, list[str]]:
    notes = Notes()
    return threads_module.with_threads(plan, problem_of(plan), notes, trials=trials).machine.threads, notes.said


def test_all_threads_where_they_gain_and_one_where_they_do_not(
    long: StudyPlan, measured: Callable[[float], list[int]]
) -> None:
    assert measured(3.1) is not None
    assert decided(long) == (4, [])
    measured(1.02)
    threads, (note,) = decided(long)
    assert threads == 1
    assert "98% of its time" in note
    assert "--workers 4" in note


def test_workers_share_the_threads_that_are_measured(long: StudyPlan, measured: Callable[[float], list[int]]) -> None:
    asked = measured(2.0)
    assert decided(long.changed(workers=2))[0] == 2
    assert decided(long.changed(workers=4))[0] is None, "one each: there is nothing to measure"
    assert asked == [2]


@pytest.mark.parametrize(
    "change", [{"threads": 3}, {"budget": "500steps"}, {"budget": "20epochs"}, {"budget": "5s"}, {"executor": "inline"}]
)
def test_nothing_is_measured_where_it_is_settled_or_not_worth_it(
    long: StudyPlan, measured: Callable[[float], list[int]], change: dict[str, object]
) -> None:
    asked = measured(1.0)
    assert decided(long.changed(**change))[0] == change.get("threads")
    assert asked == []


def test_slots_take_the_number_and_never_more_than_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "available_cores", lambda: (0, 1, 2, 3))
    for given, expected in ((None, 4), (1, 1), (3, 3), (64, 4)):
        (slot,) = plan_slots(ExecutorSettings(devices=("cpu",), threads=given))
        assert slot.threads == expected
        assert slot.environment["OMP_NUM_THREADS"] == str(expected)


def test_a_plan_keeps_the_number_and_a_resume_may_change_it(plan: StudyPlan) -> None:
    document = replace(plan, machine=replace(plan.machine, threads=1)).to_document()
    assert StudyPlan.from_document(document).machine.threads == 1
    assert ResumeSettings(threads="2").changes == {"threads": 2}
    del document["machine"]["threads"]
    assert StudyPlan.from_document(document).machine.threads is None


def test_a_long_training_measures_its_own_network(measured: Callable[[float], list[int]]) -> None:
    asked, before = measured(1.05), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = [threads_for(torch.nn.Module, Budget.parse(each)) for each in ("5m", "5s", "900steps", "90epochs")]
        measured(1.5)
        found.append(threads_for(torch.nn.Module, Budget.parse("5m")))
        torch.set_num_threads(1)
        found.append(threads_for(torch.nn.Module, Budget.parse("5m")))
    finally:
        torch.set_num_threads(before)
    assert found == [1, None, None, None, 3, None]
    assert asked == [3]


def test_the_measurement_leaves_torch_as_it_was() -> None:
    before = torch.get_num_threads()
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 5))
    gain = gain_of_threads(network, shape=(4, 3, 8, 8), classes=5, threads=2)
    assert gain > 0
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError):
        gain_of_threads(network, shape=(4, 2, 8, 8), classes=5, threads=2)
    assert torch.get_num_threads() == before
