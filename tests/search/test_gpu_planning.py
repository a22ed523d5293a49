"""What a search plans for GPUs, on a machine that says it has some: their memory, its price, who shares them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from betanas.search.executors.slots import plan_slots
from betanas.search.planning import plan_search, problem_of
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan
from betanas.search.settings import MachineSettings, SearchSettings
from betanas.training.device import priced_dtype, tuning_pays

GIB = 2**30


@dataclass(frozen=True)
class Properties:
    total_memory: int


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs of 80 and 40 GiB that compute bfloat16."""
    memory = (80 * GIB, 40 * GIB)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda place: Properties(memory[place]))


def planned(place: Path, **settings: object) -> StudyPlan:
    asked = SearchSettings(data="digits", study=str(place / "study"), resolution=16, strategy="sobol", **settings)
    return plan_search(asked, SearchListener()).plan


@pytest.mark.usefixtures("gpus")
class TestOnGpus:
    def test_memory_is_priced_in_the_type_that_the_device_trains_in(self, tmp_path: Path) -> None:
        plan = planned(tmp_path)
        assert (plan.memory_dtype, problem_of(plan).dtype) == ("bfloat16", "bfloat16")
        assert StudyPlan.from_document(plan.to_document()) == plan
        assert planned(tmp_path, devices="cpu").memory_dtype == "float32"
        assert priced_dtype("float32", torch.device("cuda:0")) == "float32"

    def test_the_smallest_devices_memory_is_divided_among_its_workers(self, tmp_path: Path) -> None:
        assert planned(tmp_path).limits.memory == int(0.65 * 40 * GIB)
        assert planned(tmp_path, workers=4).limits.memory == int(0.65 * 40 * GIB / 2)
        assert planned(tmp_path, workers=4, max_memory="1GiB").limits.memory == GIB

    def test_batches_follow_device_and_budget_unless_they_are_given(self, tmp_path: Path) -> None:
        long = planned(tmp_path, budget="10m")
        assert (long.batch_size, long.recipe_settings["batch_size"], long.recipe_settings["variants"]) == (512, 512, [])
        assert planned(tmp_path, budget="5s").batch_size == 100
        assert planned(tmp_path, budget="10m", batch_size=64).batch_size == 64

    @pytest.mark.parametrize(
        ("workers", "devices", "together", "shared"),
        [
            (None, "auto", 1, [1, 1]),
            (3, "auto", 1, [2, 1, 2]),
            (4, "cuda:1", 1, [4, 4, 4, 4]),
            (2, "auto", 2, [2, 2]),
        ],
    )
    def test_every_worker_knows_how_many_share_its_device(
        self, workers: int | None, devices: str, together: int, shared: list[int]
    ) -> None:
        settings = MachineSettings(workers=workers, devices=(devices,), per_trial_devices=together)
        assert [slot.shared_by for slot in plan_slots(settings)] == shared


def test_a_study_of_before_counts_in_float32(tmp_path: Path) -> None:
    plan = planned(tmp_path, devices="cpu")
    document = plan.to_document()
    del document["memory_dtype"]
    assert StudyPlan.from_document(document) == replace(plan, memory_dtype="float32")


def test_cudnn_tunes_where_that_is_a_fiftieth_of_the_training() -> None:
    assert [tuning_pays(seconds) for seconds in (5, 420, 2999, 3000, 7200)] == [False, False, False, True, True]
