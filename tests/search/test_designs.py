"""The known networks of a space, which a search trains before anything is suggested to it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

import betanas as bn
from betanas.search.planning import plan_search
from betanas.search.progress import SearchListener
from betanas.search.records import DESIGN, StudyPlan
from betanas.search.settings import ResumeSettings
from betanas.search.studies.search import FEW_DESIGNS
from betanas.spaces import get_space

DESIGNS = get_space("convnet").known_designs()


class TestSearches:
    common: ClassVar[dict[str, object]] = {
        "data": "digits",
        "space": "convnet",
        "resolution": 16,
        "budget": "1steps",
        "executor": "inline",
        "baselines": "none",
    }

    @pytest.mark.parametrize("strategy", ["sobol", "gpei", "tpe"])
    def test_they_come_first_with_every_strategy(self, tmp_path: Path, strategy: str) -> None:
        settings = {**self.common, "strategy": strategy, "max_macs": 5_000_000}
        with bn.search(**settings, study=str(tmp_path / "s"), trials=5) as study:
            trials = study.trials()
        feasible = [name for name in list(DESIGNS)[:FEW_DESIGNS] if macs(DESIGNS[name]) <= 5_000_000]
        assert 1 < len(feasible) < FEW_DESIGNS
        first = [trial for trial in trials if trial.origin == DESIGN]
        assert trials[: len(first)] == tuple(first)
        assert [trial.vector for trial in first] == [DESIGNS[name] for name in feasible]

    def test_an_interrupted_search_goes_on_with_those_that_are_left(self, tmp_path: Path) -> None:
        bn.search(**self.common, study=str(tmp_path / "s"), strategy="sobol", trials=2).close()
        with bn.resume(tmp_path / "s", ResumeSettings(trials=7)) as study:
            assert [trial.vector for trial in study.trials()[:3]] == list(DESIGNS.values())[:3]
            assert [trial.origin for trial in study.trials()] == [DESIGN] * 3 + ["sobol"] * 4

    def test_a_longer_search_tries_them_all(self, tmp_path: Path) -> None:
        with bn.search(**self.common, study=str(tmp_path / "s"), strategy="sobol", trials=20) as study:
            assert [trial.origin for trial in study.trials()] == [DESIGN] * 5 + ["sobol"] * 15

    def test_a_strategy_with_shares_of_its_own_begins_itself(self, tmp_path: Path) -> None:
        with bn.search(**self.common, study=str(tmp_path / "s"), strategy="multifidelity", trials=1) as study:
            assert [trial.origin for trial in study.trials()] == ["sobol"]

    def test_without_them_the_strategy_begins(self, tmp_path: Path) -> None:
        with bn.search(**self.common, study=str(tmp_path / "s"), strategy="sobol", trials=1, designs=False) as study:
            assert [trial.origin for trial in study.trials()] == ["sobol"]


@pytest.mark.parametrize(("space", "strategy", "kept"), [
    ("convnet", "sobol", True), ("convnet", "report", False), ("betanet3", "sobol", False),
])  # fmt: skip
def test_a_plan_has_them_where_there_are_any(tmp_path: Path, space: str, strategy: str, kept: bool) -> None:
    settings = bn.SearchSettings(
        data="digits", study=str(tmp_path / "s"), resolution=16, space=space, strategy=strategy, budget="1steps"
    )
    assert plan_search(settings, SearchListener()).plan.search.designs is kept


def test_older_plans_have_none(tmp_path: Path) -> None:
    settings = bn.SearchSettings(data="digits", study=str(tmp_path / "s"), resolution=16, space="convnet")
    document = plan_search(settings, SearchListener()).plan.to_document()
    assert StudyPlan.from_document(document).search.designs
    del document["search"]["designs"]
    assert not StudyPlan.from_document(document).search.designs


def macs(vector: dict[str, float]) -> int:
    return get_space("convnet").blueprint(vector, resolution=16, num_classes=10, in_channels=1).macs
