"""What is written computes what the network computes, in every form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import betanas as bn
from betanas.cli.main import run
from betanas.errors import ExportError
from betanas.export import FORMATS, exporting, load_classifier
from betanas.export.formats import ONNX_FILE, PROGRAM_FILE, onnx_runner, write_onnx
from betanas.export.samples import Sample
from betanas.export.verification import verify
from betanas.training.files import write_tensors

TOLERANCE = 1e-4
WRITTEN = [
    "README.md",
    "network.json",
    "network.onnx",
    "network.pt2",
    "network.safetensors",
    "source/classes.json",
    "source/network.py",
    "source/network.safetensors",
]


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "new" / "digits-model"
    assert run(["export", str(trained), "--to", str(target), "--license", "mit"]) == 0
    return target


def test_every_form_is_checked_on_the_images_it_was_trained_on(exported):
    assert names(exported) == WRITTEN
    document = json.loads((exported / "network.json").read_text())
    assert set(document["verification"]) == set(FORMATS)
    for found in document["verification"].values():
        assert found["real"]
        assert found["images"] == 359, "all the test images that digits has"
        assert found["largest_difference"] < TOLERANCE
    assert document["files"].keys() == set(WRITTEN) - {"network.json"}
    assert document["classes"] == list("0123456789")
    assert document["params"] == bn.Blueprint.from_dict(document["architecture"]).num_params
    assert (exported / "network.safetensors").stat().st_mode == (exported / "source" / "network.py").stat().st_mode


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_onnx_and_torch_export_take_any_batch(exported, trained, batch):
    classifier = load_classifier(trained)
    images = torch.rand(batch, 1, 16, 16, generator=torch.Generator().manual_seed(batch))
    expected = classifier(images)
    program = torch.export.load(exported / PROGRAM_FILE).module()
    assert torch.allclose(program(images), expected, atol=TOLERANCE, rtol=0)
    assert torch.allclose(onnx_runner(exported / ONNX_FILE)(images), expected, atol=TOLERANCE, rtol=0)


def test_the_classifier_standardises_as_training_does(trained):
    document = json.loads((trained / "network.json").read_text())
    network = bn.Blueprint.from_dict(document["architecture"]).build().eval()
    network.load_state_dict(load_file(trained / "network.safetensors"))
    pixels = torch.randint(0, 256, (4, 1, 16, 16)).float()
    classifier = load_classifier(trained)
    expected = network(pixels * document["scale"][0] + document["offset"][0])
    assert torch.allclose(classifier(pixels / 255), expected, atol=TOLERANCE, rtol=0)


def test_nothing_exported_tells_of_this_machine(exported, trained):
    here = (str(Path(bn.__file__).parent), str(trained.parent))
    for name in names(exported):
        content = (exported / name).read_bytes()
        assert not any(place.encode() in content for place in here), name


def test_an_export_can_be_exported_again(exported, tmp_path, capsys):
    again = ["export", str(exported), "--to", str(tmp_path / "again"), "--json"]
    assert run([*again, "--format", "safetensors", "--format", "source"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["verification"]) == {"safetensors", "source"}
    assert not printed["verification"]["source"]["real"], "an export does not say where its images are"
    before, after = (json.loads((place / "network.json").read_text()) for place in (exported, tmp_path / "again"))
    for name in ("classes", "mean", "std", "stored_side", "training", "images", "license", "test_top1"):
        assert after[name] == before[name] is not None
    weights = [load_file(place / "network.safetensors") for place in (exported, tmp_path / "again")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_it_can_be_checked_on_other_images(exported, tmp_path):
    made = bn.export(exported, tmp_path / "again", data="digits", formats=["safetensors"])
    assert made.verification["safetensors"].origin == "359 test images of digits"
    with pytest.raises(bn.BetanasError, match="digitz"):
        bn.export(exported, tmp_path / "other", data="digitz")
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


@pytest.mark.parametrize(
    ("space", "sizes"),
    [
        ("betanet2", {"resolution": 32, "num_classes": 3, "in_channels": 3}),
        ("betanet3", {"resolution": 16, "num_classes": 2, "in_channels": 1}),
    ],
)
def test_published_networks_survive_every_form(folder_of, published_network, tmp_path, space, sizes):
    made = bn.export(folder_of(published_network(space, **sizes)), tmp_path / "model", formats=["all"])
    assert set(made.verification) == set(FORMATS)
    assert all(found.largest_difference < TOLERANCE for found in made.verification.values())
    assert made.verification["onnx"].origin == "64 random images"


def test_a_benchmark_network_of_grey_images(tmp_path, folder_of, small, edit):
    folder = folder_of(small())
    network = bn.benchmark_network("mobilenet_v2", num_classes=4, in_channels=1)
    write_tensors(folder / "network.safetensors", network.state_dict())
    architecture = {"network": "mobilenet_v2", "num_classes": 4, "in_channels": 1}
    edit(folder, architecture=architecture, resolution=32, classes=list("abcd"))
    made = bn.export(folder, tmp_path / "model", formats=["safetensors", "source"])
    assert made.verification["source"].largest_difference < TOLERANCE
    written = json.loads((tmp_path / "model" / "network.json").read_text())
    assert written["params"] == sum(each.numel() for each in network.parameters())
    # At 224 the paper counts 300 million, and the head of three channels is a small part of it.
    assert written["macs"] == pytest.approx(300e6 * (32 / 224) ** 2, rel=0.1)


@pytest.mark.parametrize("name", ["resnet20", "resnet18_32px", "mobilenet_v2_32px", "efficientnet_b0_32px"])
def test_networks_for_small_images_are_written_as_source(tmp_path, folder_of, small, edit, name):
    folder = folder_of(small())
    network = bn.benchmark_network(name, num_classes=4)
    write_tensors(folder / "network.safetensors", network.state_dict())
    architecture = {"network": name, "num_classes": 4, "in_channels": 3}
    scale, offset = [0.0147, 0.0153, 0.0142], [-1.9, -1.8, -1.6]
    edit(folder, architecture=architecture, resolution=32, classes=list("abcd"), scale=scale, offset=offset)
    made = bn.export(folder, tmp_path / "model", formats=["source"])
    assert made.verification["source"].largest_difference < TOLERANCE
    text = (tmp_path / "model" / "source" / "network.py").read_text()
    assert f"def {name}(num_classes: int)" in text
    for arguments in (["format", "--check", "--diff"], ["check", "--extend-select", "I,UP,B", "--ignore", "B905"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", str(tmp_path / "model" / "source")]
        answer = subprocess.run(command, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stdout


def test_a_graph_that_computes_something_else_is_refused(trained, tmp_path, monkeypatch):
    import onnx

    def corrupt(sidecar, classifier, folder: Path):
        write_onnx(sidecar, classifier, folder)
        model = onnx.load(folder / ONNX_FILE)
        weights = max(model.graph.initializer, key=lambda each: int(np.prod(each.dims)))
        values = onnx.numpy_helper.to_array(weights).copy()
        values.flat[0] += 0.5
        weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
        onnx.save(model, folder / ONNX_FILE)
        return onnx_runner(folder / ONNX_FILE)

    monkeypatch.setitem(exporting._WRITERS, "onnx", corrupt)
    with pytest.raises(ExportError, match=r"exported onnx must compute the same.*differs by"):
        bn.export(trained, tmp_path / "deep" / "model", formats=["safetensors", "onnx"])
    assert list(tmp_path.iterdir()) == []


def test_what_counts_as_the_same():
    images = torch.rand(5, 1, 2, 2)
    expected = torch.tensor([[1.0, 2.0]] * 4 + [[1.0, 1.00001]])
    sample = Sample(images, "5 images", real=True)

    def answers(change: torch.Tensor):
        rows = iter(torch.split(expected + change, [1, 3, 1]))
        return lambda batch: next(rows)

    found = verify("onnx", answers(torch.full((5, 2), 5e-5)), expected=expected, sample=sample)
    assert found.largest_difference == pytest.approx(5e-5, rel=1e-2)
    for change, says in (
        (torch.full((5, 2), 2e-4), "differs by 0.0002"),
        (torch.full((5, 2), float("nan")), "differs by nan"),
        (torch.tensor([2e-5, 0.0]), "another first choice for 1 of 5 images"),
    ):
        with pytest.raises(ExportError, match=says):
            verify("onnx", answers(change), expected=expected, sample=sample)
    with pytest.raises(ExportError, match="shape"):
        verify("onnx", lambda batch: torch.zeros(len(batch), 3), expected=expected, sample=sample)
