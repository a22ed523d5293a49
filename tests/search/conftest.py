"""What the search tests share: a small study on digits, real blueprints, records, a store in a temporary directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from assignments import digits_job

import betanas as bn
from betanas import models
from betanas.search.executors.base import WorkerSetup
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store

MISBEHAVIOUR = Path(__file__).parent / "misbehaviour.py"


@pytest.fixture(autouse=True)
def _networks_misbehave_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins that replace how networks are built do so until the end of a test: a search runs them here too."""
    monkeypatch.setattr(models, "build", models.build)


@pytest.fixture(scope="session")
def digits_fingerprint() -> str:
    return bn.open_source("digits").fingerprint


@pytest.fixture(scope="session")
def digits_setup() -> WorkerSetup:
    return WorkerSetup(digits_job(), plugins=(str(MISBEHAVIOUR),))


@pytest.fixture(scope="session")
def digits_blueprint() -> bn.Blueprint:
    vector = bn.published("betanet3") | {"G0": 1.0, "G1": 1.0}
    return bn.get_space("betanet3").blueprint(vector, resolution=16, num_classes=10, in_channels=1)


@pytest.fixture
def plan(digits_fingerprint: str) -> StudyPlan:
    space = bn.get_space("betanet3")
    recipe = bn.load_recipe("fast")
    asked = bn.SearchSettings(
        data="digits",
        study="none",
        resolution=16,
        validation_share=0.2,
        budget="2steps",
        recipe=recipe.name,
        batch_size=64,
        strategy="sobol",
        designs=False,
        ranges={name: (searched.low, searched.high) for name, searched in space.parameters.items()},
        trials=4,
        max_params=2_000_000,
        max_memory=2**30,
        executor="inline",
        devices="cpu",
    )
    return StudyPlan(
        data=asked.data,
        training=asked.training,
        limits=asked.limits,
        machine=asked.machine,
        search=asked.search,
        data_fingerprint=digits_fingerprint,
        classes=tuple("0123456789"),
        in_channels=1,
        recipe_settings=recipe.to_dict(),
    )


@pytest.fixture
def store(tmp_path: Path, plan: StudyPlan) -> Iterator[Store]:
    (tmp_path / "study").mkdir()
    made = Store.create(StudyLocation.parse(tmp_path / "study"), plan)
    yield made
    made.close()


@pytest.fixture
def make_record(digits_blueprint: bn.Blueprint) -> Callable[..., TrialRecord]:
    def make(index: int, **values: object) -> TrialRecord:
        record = TrialRecord(
            index=index,
            vector=bn.published("betanet3"),
            blueprint_key=digits_blueprint.key,
            origin="sobol",
            state="running",
            params=digits_blueprint.num_params,
        )
        return replace(record, **values)  # type: ignore[arg-type]

    return make
