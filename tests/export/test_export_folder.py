"""Where an export may go, what it is made from, what the model card says; and every refusal."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from PIL import Image

import betanas as bn
from betanas.cli.main import run
from betanas.profiling.calibration import measure


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command says that must be refused."""
    capsys.readouterr()
    assert run([str(each) for each in arguments]) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert printed.out == ""
    return printed.err


@pytest.fixture
def training(folder_of, small) -> Path:
    return folder_of(small())


def export(training: Path, target: Path, *more: object) -> list[str]:
    return ["export", str(training), "--to", str(target), "--format", "safetensors", *map(str, more)]


def test_an_earlier_export_is_replaced_where_that_is_asked_for(training, tmp_path, capsys):
    target = tmp_path / "model"
    target.mkdir()  # an empty folder is free
    assert run(["export", str(training), "--to", str(target), "--format", "source"]) == 0
    (target / "source" / "__pycache__").mkdir()
    (target / "source" / "__pycache__" / "network.pyc").write_bytes(b"")
    assert "--overwrite" in refused(capsys, *export(training, target))
    assert run(export(training, target, "--overwrite")) == 0
    assert sorted(path.name for path in target.iterdir()) == ["README.md", "network.json", "network.safetensors"]
    (target / "mine.txt").write_text("notes")
    assert "mine.txt" in refused(capsys, *export(training, target, "--overwrite"))
    assert (target / "mine.txt").read_text() == "notes"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "training"]


def test_a_place_that_is_taken_by_something_else(training, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for target in (training, tmp_path, tmp_path / "file"):
        for more in ((), ("--overwrite",)):
            assert "new folder" in refused(capsys, *export(training, target, *more))
    assert (tmp_path / "file").read_text() == "mine"
    assert "writable" in refused(capsys, *export(training, tmp_path / "file" / "below"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_place_that_cannot_be_written(training, tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "writable" in refused(capsys, *export(training, locked / "model"))


def test_an_earlier_export_survives_an_export_that_fails(training, tmp_path, monkeypatch):
    target = tmp_path / "model"
    assert run(export(training, target)) == 0
    before = {path.name: path.read_bytes() for path in target.iterdir()}

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("betanas.export.exporting.model_card", fail)
    assert run(export(training, target, "--overwrite")) == 130
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "training"]


def test_what_is_no_trained_network(training, tmp_path, capsys, edit):
    target = tmp_path / "model"
    assert "betanas train" in refused(capsys, *export(tmp_path / "nowhere", target))
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "plan.json").write_text("{}")
    assert "must have ended" in refused(capsys, *export(unfinished, target))
    weights = (training / "network.safetensors").read_bytes()
    for content, says in ((weights[:-9], "readable safetensors"), (b"", "readable safetensors")):
        (training / "network.safetensors").write_bytes(content)
        assert says in refused(capsys, *export(training, target))
    (training / "network.safetensors").unlink()
    assert "readable safetensors" in refused(capsys, *export(training, target))
    (training / "network.safetensors").write_bytes(weights)
    for change, says in (
        ({"scale": [0.01, 0.02]}, "scale and offset"),
        ({"scale": None}, "KeyError"),
        ({"scale": [0.0]}, "not 0"),
        ({"classes": ["one"]}, "10 classes"),
        ({"architecture": {"network": "vgg"}}, "num_classes"),
        ({"architecture": {"network": "vgg", "num_classes": 10, "in_channels": 1}}, "mobilenet_v2"),
        ({"architecture": {"network": "resnet50", "num_classes": 10, "in_channels": 1}}, "must fit"),
        ({"architecture": {"format": 1}}, "blueprint"),
        ({"format": 2}, "format 1"),
    ):
        before = (training / "network.json").read_bytes()
        edit(training, **change)
        assert says in refused(capsys, *export(training, target))
        (training / "network.json").write_bytes(before)
    (training / "network.json").write_text("{")
    assert "readable JSON" in refused(capsys, *export(training, target))
    assert not target.exists()


def test_formats_and_missing_packages(training, tmp_path, capsys, monkeypatch):
    target = tmp_path / "model"
    assert "tensorflow" in refused(capsys, "export", training, "--to", target, "--format", "tensorflow")
    with pytest.raises(bn.UserError, match="safetensors, onnx, torch, source, int8, litert, executorch, coreml or all"):
        bn.export(training, target, formats=["tensorflow"])
    with pytest.raises(bn.UserError, match="a format"):
        bn.export(training, target, formats=[])
    monkeypatch.setattr("betanas.extras.find_spec", lambda name: None)
    assert "pip install 'betanas[onnx]'" in refused(capsys, "export", training, "--to", target, "--format", "onnx")
    assert not target.exists()
    assert run(["export", str(training), "--to", str(target)]) == 0
    assert "ONNX is left out" in capsys.readouterr().err
    assert sorted(path.name for path in target.iterdir()) == [
        "README.md",
        "network.json",
        "network.pt2",
        "network.safetensors",
        "source",
    ]


def test_an_older_training_is_completed_from_its_data(trained, tmp_path, edit, capsys):
    older = Path(shutil.copytree(trained, tmp_path / "older"))
    edit(older, classes=None, in_channels=None, stored_side=None)
    made = bn.export(older, tmp_path / "model", formats=["safetensors"])
    assert made.classes_named
    document = json.loads((tmp_path / "model" / "network.json").read_text())
    assert (document["classes"], document["stored_side"]) == (list("0123456789"), 8)
    # Other images by the same name are not those it was trained on.
    edit(older, data={"source": "digits", "fingerprint": "another"})
    assert run(export(older, tmp_path / "numbered")) == 0
    printed = capsys.readouterr()
    assert "--classes" in printed.err
    assert "--data" in printed.out
    document = json.loads((tmp_path / "numbered" / "network.json").read_text())
    assert document["classes"] is None
    assert "names the training did not record" in (tmp_path / "numbered" / "README.md").read_text()
    names = tmp_path / "names.txt"
    names.write_text("zero\none\n")
    assert "10 classes" in refused(capsys, *export(older, tmp_path / "named", "--classes", names))
    names.write_text("\n")
    assert "one name a line" in refused(capsys, *export(older, tmp_path / "named", "--classes", names))
    assert "readable text" in refused(capsys, *export(older, tmp_path / "named", "--classes", tmp_path / "no.txt"))
    names.write_text("\n".join(f"digit {number}" for number in range(10)))
    assert run(export(older, tmp_path / "named", "--classes", names)) == 0
    assert json.loads((tmp_path / "named" / "network.json").read_text())["classes"][9] == "digit 9"


def test_a_strangers_folder_runs_no_file_of_its_own(training, tmp_path, edit):
    trap, sprung = tmp_path / "data.py", tmp_path / "sprung"
    trap.write_text(f"import pathlib\npathlib.Path({str(sprung)!r}).touch()\n")
    edit(training, data={"source": str(trap), "fingerprint": "abc"})
    made = bn.export(training, tmp_path / "model", formats=["safetensors"])
    assert not made.verification["safetensors"].real
    assert not sprung.exists()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "somewhere" / "private" / "photos"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            shade = (20 * number, 90, 200) if name == "cat" else (200, 20 * number, 90)
            Image.new("RGB", (20 + number, 30), shade).save(folder / name / f"{number}.png")
    return folder


def test_a_folder_of_images_from_training_to_export(photos, tmp_path, small):
    blueprint = tmp_path / "small.json"
    blueprint.write_text(small(in_channels=3, num_classes=2).to_json())
    folder, target = tmp_path / "run", tmp_path / "model"
    arguments = ["train", str(blueprint), "--data", str(photos), "--folder", str(folder), "--resolution", "16"]
    assert run([*arguments, "--budget", "3steps", "--device", "cpu"]) == 0
    made = bn.export(folder, target, formats=["safetensors"])
    # A tenth of each class, but at least one, is what the network was not trained on.
    assert made.verification["safetensors"].origin == "2 validation images of photos"
    for file in target.iterdir():
        assert b"private" not in file.read_bytes(), file
    card = (target / "README.md").read_text()
    assert "`cat`, `dog`." in card
    assert "24 training images" in card
    assert ModelCard(card).data.datasets == ["photos"]


def test_the_model_card(trained, tmp_path):
    result = json.loads((trained / "result.json").read_text())
    bn.export(trained, tmp_path / "digits-model", formats=["safetensors"], license="cc-by-4.0")
    card = ModelCard.load(tmp_path / "digits-model" / "README.md")
    data = card.data
    assert (data.license, data.pipeline_tag, data.datasets) == ("cc-by-4.0", "image-classification", ["digits"])
    assert data.metrics == ["accuracy"]
    measured = {found.dataset_split: found.metric_value for found in data.eval_results}
    assert measured == {
        "test": pytest.approx(result["test_top1"], abs=1e-4),
        "validation": pytest.approx(result["top1"], abs=1e-4),
    }
    for section in ("Use", "Classes", "Data", "Training", "Accuracy", "Cost", "Architecture", "Limits", "Licence"):
        assert f"## {section}\n" in card.text
    assert f"{result['test_top1']:.2%}" in card.text
    assert "359" in card.text


@pytest.mark.parametrize(
    ("given", "license", "name"),
    [(None, "other", "unspecified"), ("My: Own #1 Licence", "other", "My: Own #1 Licence"), ("mit", "mit", None)],
)
def test_licences(training, tmp_path, given, license, name):  # noqa: A002
    bn.export(training, tmp_path / "model", formats=["safetensors"], license=given)
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert (card.data.license, card.data.license_name) == (license, name)
    assert json.loads((tmp_path / "model" / "network.json").read_text())["license"] == given


def test_the_card_says_how_long_an_answer_takes(training, tmp_path, capsys):
    golden = Path(__file__).parents[1] / "golden" / "latency.json"
    here = json.loads(golden.read_text()) | {"processor": measure.processor()}
    (tmp_path / "here.json").write_text(json.dumps(here))
    for name, table, measured in (("elsewhere", golden, False), ("here", tmp_path / "here.json", True)):
        assert run(export(training, tmp_path / name, "--latency-table", table)) == 0
        card = (tmp_path / name / "README.md").read_text()
        assert "Time of an answer in float32, predicted" in card
        assert ("Time of an answer in float32, measured" in card) == measured
        answer = json.loads((tmp_path / name / "network.json").read_text())["answer"]
        assert answer["predicted"] > 0
        assert (answer["measured"] is not None) == measured
    assert "readable JSON" in refused(capsys, *export(training, tmp_path / "no", "--latency-table", "nowhere.json"))
    assert not (tmp_path / "no").exists()
