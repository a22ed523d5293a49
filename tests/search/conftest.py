"""What the search tests share: a small study on digits, real blueprints, records, a store in a temporary directory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from assignments import digits_job

import betanas as bn
from betanas import models
from betanas.search.executors.base import WorkerSetup
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


MISBEHAVIOUR = Path(__file__).parent / "misbehaviour.py"


@pytest.fixture(autouse=True)
def _networks_misbehave_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins that replace how networks are built do so until the end of a test: a search runs them here too."""
    monkeypatch.setattr(models, "build", models.build)


@pytest.fixture(scope="session")
def ray_node() -> Iterator[Cluster]:
    """A Ray cluster of one small node."""
    from ray.cluster_utils import Cluster

    # Ray's processors are counted, not real. Its workers are not to give way to whatever else runs here.
    head = {"num_cpus": 2, "object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**head, "_system_config": {"worker_niceness": 0}})
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def ray_cluster(ray_node: Cluster) -> Iterator[Cluster]:
    """The cluster, to which this process is connected; other modules need a process that is not."""
    import ray

    ray.init(address=ray_node.address, log_to_driver=False, logging_level=logging.ERROR)
    ray._private.worker._worker_logs_enabled = False
    yield ray_node
    ray.shutdown()


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
