"""The examples do what they say, as a user would run them, with small sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from betanas.cli.main import run
from betanas.search.study import Study
from betanas.spaces import get_space
from betanas.testing import check_objective, check_source, check_space, check_strategy

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment in which `betanas` is this one's command."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def search(study: Path, *options: str) -> list[str]:
    sizes = ["--resolution", "16", "--budget", "3steps", "--trials", "2", "--strategy", "sobol"]
    sizes += ["--executor", "inline"]
    return ["search", "--data", "digits", "--study", str(study), *sizes, *options]


def test_a_custom_space_is_searched_and_its_networks_are_resnet_like(tmp_path: Path) -> None:
    space = str(EXAMPLES / "custom_space.py")
    assert run(search(tmp_path / "study", "--space", space)) == 0
    vector = {"stem": 16.0, "stages": 3.5, "blocks": 2.2, "growth": 2.0, "bottleneck": 0.5, "latent": 2.0}
    blueprint = get_space(space).blueprint(vector, resolution=32, num_classes=10)
    assert [layer.out_channels for layer in blueprint.layers] == [16, 16, 16, 32, 32, 64, 64]
    assert [layer.resolution for layer in blueprint.layers] == [32, 32, 32, 16, 16, 8, 8]
    assert [layer.residual for layer in blueprint.layers[1:]] == [True, True, False, True, False, True]
    assert blueprint.build().num_features == 128


@pytest.mark.parametrize("resolution", [8, 9, 16])
def test_a_custom_space_describes_networks_for_small_images(resolution: int) -> None:
    space = get_space(str(EXAMPLES / "custom_space.py"))
    corners = [{name: getattr(each, end) for name, each in space.domain.items()} for end in ("low", "high")]
    for vector in corners:
        assert space.blueprint(vector, resolution=resolution, num_classes=2, in_channels=1).layers[-1].resolution >= 1


def test_a_custom_objective_prefers_the_shallower_of_two_equals(tmp_path: Path) -> None:
    study = tmp_path / "study"
    assert run(search(study, "--space", "betanet3", "--objective", str(EXAMPLES / "custom_objective.py"))) == 0
    with Study.open(study) as opened:
        for trial in opened.trials():
            layers = len(opened.blueprint(trial.index).layers)
            assert trial.objective == pytest.approx(trial.top1 - 0.0005 * layers)


def test_custom_parts_keep_their_promises() -> None:
    check_space(str(EXAMPLES / "custom_space.py"))
    check_strategy(str(EXAMPLES / "custom_strategy.py"), options={"initial": 4})
    check_source(str(EXAMPLES / "custom_source.py"))
    check_objective(str(EXAMPLES / "custom_objective.py"))


def test_a_custom_recipe_is_used(tmp_path: Path) -> None:
    study = tmp_path / "study"
    assert run(search(study, "--space", "betanet3", "--recipe", str(EXAMPLES / "custom_recipe.toml"))) == 0
    with Study.open(study) as opened:
        assert opened.plan.recipe_settings["rotate"] == 10.0
        assert opened.plan.batch_size == 50


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_own_images_become_an_exported_model(tmp_path: Path, environment: dict[str, str]) -> None:
    pytest.importorskip("onnxruntime")
    generator = np.random.default_rng(0)
    for number, name in enumerate(("beach", "forest", "street")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(20):
            height, width = generator.integers(20, 90, size=2)
            pixels = generator.integers(0, 100, size=(height, width, 3)) + 70 * number
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / name / f"{index}.jpg")
    environment |= {
        "RESOLUTION": "16",
        "BUDGET": "3steps",
        "TRIALS": "3",
        "TOP": "1",
        "SEEDS": "1",
        "EPOCHS": "2epochs",
    }
    command = [str(EXAMPLES / "own_images.sh"), "photos", "made"]
    # The second time stands for going on after an interruption: nothing is done twice, nothing is refused.
    for _ in range(2):
        made = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
    assert list((tmp_path / "made" / "model").glob("*.onnx"))
    assert "beach" in made.stdout


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_two_machines_share_a_search(tmp_path: Path, server: str, environment: dict[str, str]) -> None:
    url = f"{server}?study=example"
    environment |= {"STUDY": url, "BUDGET": "2s", "TRIALS": "6"}
    command = str(EXAMPLES / "two_machines.sh")
    first = subprocess.Popen(
        [command, "first"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while subprocess.run(["betanas", "status", url], env=environment, capture_output=True, check=False).returncode:
        assert first.poll() is None, first.communicate()[0]
    another = subprocess.run([command, "another"], env=environment, capture_output=True, text=True, check=False)
    said, _ = first.communicate(timeout=600)
    assert (first.returncode, another.returncode) == (0, 0), said + another.stderr
    with Study.open(url) as study:
        states = [trial.state for trial in study.trials()]
    assert states == ["completed"] * 6
    assert subprocess.run([command, "neither"], env=environment, capture_output=True, check=False).returncode == 2
