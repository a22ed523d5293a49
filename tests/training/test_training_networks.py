"""Networks as the commands `train`, `compare` and `bench` take them: above all, a study's."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from betanas.cli.inherited import training_for
from betanas.cli.main import run as run_betanas
from betanas.cli.networks import find_network, find_networks
from betanas.data import DataSource, open_source
from betanas.errors import BlueprintError, StudyError
from betanas.search.study import Study
from betanas.spaces import get_space

EXAMPLE_SPACE = Path(__file__).parents[2] / "examples" / "custom_space.py"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of 30 trials on digits at 16 pixels, some of them confirmed."""
    return shutil.copytree(Path(__file__).parents[1] / "golden" / "study", tmp_path / "found")


@pytest.fixture(scope="module")
def digits_source() -> DataSource:
    return open_source("digits")


def change(study: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(study / "study.sqlite") as store:
        store.execute(statement, values)
    store.close()


def test_a_study_stands_for_its_confirmed_best_network(study: Path, digits_source: DataSource):
    with Study.open(study) as opened:
        best = opened.best("confirmed")
    found = find_network(str(study), source=digits_source, resolution=16)
    assert found.name == "found"
    assert found.architecture == best.blueprint.to_dict()
    assert (found.params, found.macs) == (best.blueprint.num_params, best.blueprint.macs)
    assert sum(p.numel() for p in found.build().parameters()) == found.params


def test_without_a_confirmation_it_stands_for_its_best_trial(study: Path, digits_source: DataSource):
    change(study, "DELETE FROM attachments WHERE kind = ?", "confirmation")
    with Study.open(study) as opened:
        trials = [trial for trial in opened.trials() if trial.objective is not None]
        best = opened.blueprint(max(trials, key=lambda trial: trial.objective).index)
    found = find_network(str(study), source=digits_source, resolution=16)
    assert found.architecture == best.to_dict()


def test_trials_of_a_study_can_be_chosen(study: Path, digits_source: DataSource):
    found = find_networks(["mobilenet_v2", str(study)], source=digits_source, resolution=16, trials=(3, 11))
    assert [each.name for each in found] == ["mobilenet_v2", "found, trial 3", "found, trial 11"]
    with Study.open(study) as opened:
        assert [each.architecture for each in found[1:]] == [opened.blueprint(n).to_dict() for n in (3, 11)]


def test_at_another_resolution_a_studys_vector_is_built_anew(study: Path, digits_source: DataSource):
    with Study.open(study) as opened:
        vector = opened.best().vector
    found = find_network(str(study), source=digits_source, resolution=24)
    expected = get_space("betanet3").blueprint(vector, resolution=24, num_classes=10, in_channels=1)
    assert found.architecture == expected.to_dict()


def test_for_other_images_a_studys_vector_is_built_anew(study: Path, tmp_path: Path):
    for name in ("cat", "dog", "owl"):
        for number in range(2):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), (9 * number, 80, 0)).save(tmp_path / "photos" / name / f"{number}.png")
    found = find_network(str(study), source=open_source(tmp_path / "photos"), resolution=16, trial=5)
    sizes = [found.architecture[name] for name in ("resolution", "num_classes", "in_channels")]
    assert sizes == [16, 3, 3]


def test_a_strangers_space_is_run_with_your_word_alone(study: Path, digits_source: DataSource):
    own = "json_set(\"plan\", '$.space', ?)"
    change(study, f"UPDATE studies SET plan = {own}", str(EXAMPLE_SPACE))
    # Its network as it was found needs no file of anybody's.
    assert find_network(str(study), source=digits_source, resolution=16, trial=3).params > 0
    with pytest.raises(StudyError, match=r"custom_space\.py.*--trust-files"):
        find_network(str(study), source=digits_source, resolution=24, trial=3)
    vector = '{"stem": 16, "stages": 3, "blocks": 1, "growth": 1.5, "bottleneck": 0.5, "latent": 2}'
    change(study, "UPDATE trials SET vector = ? WHERE number = 3", vector)
    trusted = find_network(str(study), source=digits_source, resolution=24, trial=3, trusted=True)
    assert trusted.architecture["resolution"] == 24


def test_trials_that_are_nowhere_are_refused(study: Path, digits_source: DataSource):
    sizes = {"source": digits_source, "resolution": 16}
    with pytest.raises(StudyError, match="99"):
        find_network(str(study), trial=99, **sizes)
    with pytest.raises(StudyError, match=r"chosen from one study.*betanet3.*leave --trial out"):
        find_networks(["betanet3"], trials=(3,), **sizes)
    twin = shutil.copytree(study, study.parent / "twin")
    with pytest.raises(StudyError, match="chosen from one study"):
        find_networks([str(study), str(twin)], trials=(3,), **sizes)


def test_studies_without_a_network_are_refused(study: Path, digits_source: DataSource, tmp_path: Path):
    sizes = {"source": digits_source, "resolution": 16}
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="must exist"):
        find_network(str(tmp_path / "empty"), **sizes)
    change(study, "DELETE FROM attachments")
    change(study, "UPDATE trials SET state = 'failed', objective = NULL, top1 = NULL")
    with pytest.raises(StudyError, match="needs a completed trial"):
        find_network(str(study), **sizes)
    with pytest.raises(BlueprintError, match="nowhere"):
        find_network("nowhere", **sizes)


def test_train_says_what_is_wrong_with_a_trial(study: Path, tmp_path: Path, capsys):
    arguments = ["train", "--folder", str(tmp_path / "run"), "--budget", "1steps", "--resolution", "16"]
    assert run_betanas([*arguments, str(study), "--trial", "99"]) == 2
    assert run_betanas([*arguments, "betanet3", "--data", "digits", "--trial", "3"]) == 2
    assert "leave --trial out" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_study_brings_its_images_and_their_side(study: Path, tmp_path: Path):
    def images(*networks: object, **given: object) -> tuple[str, int]:
        found = training_for([str(each) for each in networks], given)
        return found.data, found.resolution

    assert images(study, "mobilenet_v2") == ("digits", 16)
    assert images(study, data="fashion-mnist", recipe="fast") == ("fashion-mnist", 16)
    assert images("mobilenet_v2", data="digits") == ("digits", 32)
    other = shutil.copytree(study, tmp_path / "other")
    change(other, "UPDATE studies SET plan = json_set(plan, '$.data', 'cifar10')")
    assert images(study, other, data="digits") == ("digits", 16)
    with pytest.raises(StudyError, match="Type, for example, --data digits"):
        images(study, other)
    change(other, "UPDATE studies SET plan = json_set(plan, '$.data', 'mine.py')")
    with pytest.raises(StudyError, match="--trust-files"):
        images(other)


def test_the_command_trains_a_study_s_network_on_the_study_s_images(study: Path, tmp_path: Path, capsys):
    arguments = ["train", str(study), "--folder", str(tmp_path / "trained"), "--budget", "2steps", "--json"]
    assert run_betanas(arguments) == 0
    found = json.loads((tmp_path / "trained" / "network.json").read_text())
    assert (found["data"]["source"], found["resolution"]) == ("digits", 16)
