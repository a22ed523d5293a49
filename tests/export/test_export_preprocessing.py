"""Preprocessing inside the graph: bytes in, the probabilities that `predict` gives from the training's folder out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

import betanas as bn
from betanas.cli.main import run
from betanas.data.decoding import decode_image
from betanas.errors import ExportError
from betanas.export import exporting, load_classifier
from betanas.export.classifier import BytesClassifier, resize_weights
from betanas.export.formats import ONNX_FILE, PROGRAM_FILE
from betanas.export.quantisation import INT8_FILE
from betanas.export.sidecar import read_sidecar
from betanas.training.resample import resize


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits are stored with 8 pixels a side, and the network takes 16: the graph has to scale."""
    target = tmp_path_factory.mktemp("exported") / "phone"
    formats = [each for name in ("onnx", "torch", "int8", "safetensors") for each in ("--format", name)]
    arguments = ["export", str(trained), "--to", str(target), *formats, "--max-loss", "20", "--with-preprocessing"]
    assert run(arguments) == 0
    return target


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    gradient = Image.linear_gradient("L")
    gradient.resize((31, 20)).save(tmp_path / "wide.png")
    gradient.rotate(90).resize((70, 90)).convert("RGB").save(tmp_path / "high.jpg")
    return [tmp_path / "wide.png", tmp_path / "high.jpg"]


def alone(exported: Path, file: str, place: Path) -> Path:
    """A folder with one graph and the sidecar."""
    place.mkdir()
    for name in (file, "network.json"):
        shutil.copy(exported / name, place / name)
    return place


def decoded(paths: list[Path], sidecar_of: Path) -> np.ndarray:
    """What an app hands over, NHWC."""
    sidecar = read_sidecar(sidecar_of / "network.json")
    side, channels = sidecar.side_to_decode, sidecar.in_channels
    planes = [decode_image(path.read_bytes(), side=side, channels=channels) for path in paths]
    return np.ascontiguousarray(np.stack(planes).transpose(0, 2, 3, 1))


@pytest.mark.parametrize("file", [ONNX_FILE, PROGRAM_FILE])
def test_the_graph_alone_gives_the_probabilities_that_predict_gives(exported, trained, pictures, file):
    expected = [{choice.index: choice.probability for choice in each.top} for each in bn.predict(trained, pictures)]
    images = decoded(pictures, exported)
    assert images.dtype == np.uint8
    if file == ONNX_FILE:
        (found,) = onnxruntime.InferenceSession(str(exported / file)).run(["probabilities"], {"images": images})
    else:
        found = torch.export.load(exported / file).module()(torch.from_numpy(images)).numpy()
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    for row, top in zip(found, expected, strict=True):
        assert {index: row[index] for index in top} == pytest.approx(top, abs=1e-4)


def test_predict_reads_graphs_that_take_bytes(exported, trained, pictures, tmp_path):
    wanted = bn.predict(trained, pictures, top=3)
    found = bn.predict(alone(exported, ONNX_FILE, tmp_path / "fp32"), pictures, top=3)
    for one, other in zip(found, wanted, strict=True):
        assert [each.name for each in one.top] == [each.name for each in other.top]
        probabilities = [each.probability for each in other.top]
        assert [each.probability for each in one.top] == pytest.approx(probabilities, abs=1e-4)
    in_8_bits = bn.predict(alone(exported, INT8_FILE, tmp_path / "int8"), pictures)
    assert all(sum(each.probability for each in found.top) <= 1.0001 for found in in_8_bits)
    assert all(len(found.top) == 5 for found in in_8_bits)


def test_in_8_bits_it_is_the_network_that_was_judged(exported, trained):
    """First choices on all test images have the accuracy that the sidecar tells."""
    quantisation = json.loads((exported / "network.json").read_text())["quantisation"]
    source = bn.data.open_source("digits")
    test = bn.data.load_test(source, resolution=16)
    session = onnxruntime.InferenceSession(str(exported / INT8_FILE))
    (found,) = session.run(None, {"images": test.images.permute(0, 2, 3, 1).contiguous().numpy()})
    assert (found.argmax(1) == test.labels.numpy()).mean() == pytest.approx(quantisation["final"]["top1"], abs=0.006)
    domains = {node.op_type for node in onnx.load(str(exported / INT8_FILE)).graph.node}
    assert {"QuantizeLinear", "Softmax", "Transpose"} <= domains


def test_it_is_checked_on_all_validation_images_and_said(exported):
    document = json.loads((exported / "network.json").read_text())
    assert document["preprocessing"] is True
    for name in ("onnx", "torch"):
        assert document["verification"][name]["agreement"] == 1.0
        assert document["verification"][name]["validation_images"] == 145, "all that digits sets apart"
    assert document["verification"]["safetensors"]["agreement"] is None
    card = (exported / "README.md").read_text()
    assert "uint8 of shape `[batch, 8, 8, 1]`" in card
    assert "(probabilities,) = session.run" in card
    assert "100.00% of 145" in card
    assert "softmax, are in float32" in card


@pytest.mark.parametrize(("side", "size"), [(8, 16), (40, 32), (36, 32), (18, 16), (256, 224), (16, 16)])
def test_scaling_in_the_graph_is_the_trainings(side: int, size: int, folder_of: Callable[..., Path], small) -> None:
    sidecar = read_sidecar(folder_of(small(resolution=size), stored_side=side) / "network.json")
    weights = resize_weights(sidecar)
    planes = torch.randint(0, 256, (2, 3, side, side)).float()
    if side == size:
        assert weights is None
        return
    assert (weights @ planes @ weights.T - resize(planes, size)).abs().max().item() < 0.01, "of 255"


def test_channels_keep_their_order(folder_of, small):
    folder = folder_of(small(in_channels=3))
    sidecar, classifier = read_sidecar(folder / "network.json"), load_classifier(folder)
    planes = torch.randint(0, 256, (3, 3, 18, 18), dtype=torch.uint8)
    found = BytesClassifier(classifier, sidecar).eval()(planes.permute(0, 2, 3, 1))
    expected = classifier(resize(planes.float(), 16) / 255).softmax(1)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, classifier(resize(planes.flip(1).float(), 16) / 255).softmax(1), atol=1e-5)


def test_random_images_check_it_where_no_others_are(folder_of, small, tmp_path):
    made = bn.export(folder_of(small()), tmp_path / "model", formats=["onnx"], preprocessing=True)
    assert made.verification["onnx"].origin == "64 random images"
    assert made.verification["onnx"].agreement is None


def test_images_that_a_source_stores_otherwise_are_fitted(folder_of, small, tmp_path):
    folder = folder_of(small(), stored_side=18)  # digits are stored with 8
    made = bn.export(folder, tmp_path / "model", formats=["onnx"], data="digits", preprocessing=True)
    assert made.verification["onnx"].real


def test_weights_and_source_have_no_place_for_it(trained, tmp_path, capsys):
    arguments = ["export", str(trained), "--to", str(tmp_path / "model"), "--with-preprocessing"]
    assert run([*arguments, "--format", "safetensors", "--format", "source"]) == 2
    assert "goes into a graph" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_first_choices_that_differ_on_validation_images_are_refused(trained, tmp_path, monkeypatch):
    """A graph that is right on the test images, and wrong on two of the validation images."""
    calls = []

    def two_faced(sidecar, classifier, folder: Path):
        exporting.write_program(sidecar, classifier, folder)

        def answer(images: torch.Tensor) -> torch.Tensor:
            found = classifier(images)
            calls.append(len(images))
            if sum(calls) > 359:
                found[:1] = found[:1].flip(1)
            return found

        return answer

    monkeypatch.setitem(exporting._WRITERS, "torch", two_faced)
    with pytest.raises(ExportError, match=r"of 145 validation images only"):
        bn.export(trained, tmp_path / "model", formats=["torch"])
    assert list(tmp_path.iterdir()) == []


def test_a_graph_of_another_shape_than_its_sidecar_says(exported, pictures, tmp_path, capsys, edit):
    place = alone(exported, ONNX_FILE, tmp_path / "model")
    edit(place, stored_side=20)
    assert run(["predict", str(place / ONNX_FILE), *map(str, pictures)]) == 2
    printed = capsys.readouterr()
    assert "[20, 20, 1]" in printed.err
    assert printed.out == ""
