from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from betanas.data import open_source
from betanas.errors import BlueprintError, DataError, RecipeError
from betanas.spaces import get_space, published
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.kept import NETWORK, SIDECAR
from betanas.training.recipe import load_recipe
from betanas.training.trainer import Trainer

RECIPE = load_recipe("fast").with_settings(evaluations=2, batch_size=32)


@pytest.fixture(scope="module")
def job() -> Job:
    blueprint = get_space("betanet3").blueprint(published("betanet3"), resolution=8, num_classes=10, in_channels=1)
    images = JobImages("digits", open_source("digits").fingerprint, 8, split_seed=1)
    return Job(blueprint.to_dict(), images, RECIPE, Budget.parse("4steps"), seed=2)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(device="cpu")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": 1, "budget": Budget(123456789, "steps"), "patience": 3, "test": True, "keep": True},
        {"budget": Budget(0.1 + 0.2, "seconds"), "processes": 2, "compression": "fp16"},
        {"budget": Budget(90.0, "seconds"), "images": JobImages("a/b", "f", 64, 7, 0.25)},
        {"network": {"network": "resnet50", "num_classes": 3, "in_channels": 3}},
    ],
)
def test_a_job_survives_json_and_its_key_tells_it_from_others(job, changes):
    other = replace(job, **changes)
    assert Job.from_dict(json.loads(json.dumps(other.to_dict()))) == other
    assert (other.key == job.key) == (not changes)


def test_a_job_is_read_and_written_without_torch(job):
    code = (
        "import json, sys\nfrom betanas.training.job import Job\n"
        "job = Job.from_dict(json.loads(sys.argv[1]))\nassert job.to_dict() == json.loads(sys.argv[1])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, json.dumps(job.to_dict())], check=True)


def test_the_plan_of_an_earlier_version_is_the_same_job(job):
    """Written by version 0.1: without a validation share, with the budget as it had been typed."""
    plan = {
        "architecture": job.network,
        "data": {"source": "digits", "fingerprint": "f"},
        "resolution": 8,
        "recipe": RECIPE.to_dict(),
        "budget": "60s",
        "seed": 5,
        "patience": 0,
    }
    found = Job.from_dict(plan)
    assert (found.images.split_seed, found.budget, found.test, found.keep) == (5, Budget.parse("1m"), True, True)


def test_the_same_job_gives_the_same_numbers_and_another_budget_or_seed_others(trainer, job):
    def numbers(job: Job) -> tuple[object, ...]:
        result = trainer.train(job)
        assert result.outcome == "completed", result.reason
        return result.steps, result.top1, [point.loss for point in result.curve]

    first = numbers(job)
    assert numbers(job) == first
    assert numbers(replace(job, budget=Budget.parse("6steps")))[0] == 6
    assert numbers(replace(job, seed=3)) != first


def test_a_job_says_when_its_clock_starts_and_whether_it_was_judged_on_the_test_part(trainer, job, monkeypatch):
    started = []
    result = trainer.train(job, on_clock=lambda: started.append(1))
    assert (started, result.test_top1, result.ending) == ([1], None, "budget")
    assert 0.0 < result.preparation_seconds <= result.wall_seconds
    judged = trainer.train(replace(job, test=True))
    assert judged.test_top1 is not None
    assert judged.best_step in {point.step for point in judged.curve}


def test_a_kept_job_publishes_its_network_and_a_benchmark_network_trains_too(trainer, job, tmp_path):
    network = {"network": "mobilenet_v2", "num_classes": 10, "in_channels": 1}
    kept = replace(job, network=network, keep=True, patience=2)
    result = trainer.train(kept, folder=tmp_path)
    assert result.outcome == "completed", result.reason
    assert {path.name for path in tmp_path.iterdir()} == {NETWORK, SIDECAR, "plan.json", "result.json"}
    assert trainer.train(kept, folder=tmp_path) == result
    with pytest.raises(RecipeError, match="another architecture and budget"):
        trainer.train(replace(job, budget=Budget.parse("9steps"), keep=True, patience=2), folder=tmp_path)


def test_what_cannot_be_trained_is_refused_before_anything_is_written(trainer, job, tmp_path):
    folder = tmp_path / "new"
    kept = replace(job, keep=True)
    wrong = replace(kept, network={**job.network, "num_classes": 7})
    with pytest.raises(BlueprintError, match="8, 1, 10"):
        trainer.train(wrong, folder=folder)
    with pytest.raises(DataError, match="the same as when"):
        trainer.train(replace(kept, images=replace(job.images, fingerprint="other")), folder=folder)
    with pytest.raises(RecipeError, match="has a folder"):
        trainer.train(kept)
    with pytest.raises(RecipeError, match="for 2 processes"):
        trainer.train(replace(kept, processes=2), folder=folder)
    with pytest.raises(RecipeError, match="PowerSGD"):
        trainer.train(replace(kept, compression="powersgd"), folder=folder)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["plan.json", "result.json", "checkpoint.json"])
@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"curve": 3}'])
def test_a_damaged_folder_is_refused_with_a_message(trainer, job, tmp_path: Path, name, text):
    kept = replace(job, keep=True)
    (tmp_path / "plan.json").write_text(json.dumps(kept.to_dict()))
    (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match="must be whole"):
        trainer.train(kept, folder=tmp_path)


def test_networks_as_plain_data_that_are_none_are_a_failed_training(trainer, job):
    result = trainer.train(replace(job, network={"something": "else"}))
    assert (result.outcome, result.cause) == ("failed", "exception")
    assert "benchmark network's name" in result.reason
