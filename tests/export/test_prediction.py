"""What `betanas predict` says about image files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import betanas as bn
from betanas.cli.main import run
from betanas.data import load_test, open_source


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "model"
    bn.export(trained, target, formats=["safetensors", "onnx"])
    return target


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> tuple[list[Path], np.ndarray]:
    """The test part of the digits as files, and its labels."""
    test = load_test(open_source("digits"), resolution=16)
    folder = tmp_path_factory.mktemp("digits")
    paths = [folder / f"{number:03}.png" for number in range(len(test))]
    for path, pixels in zip(paths, test.images, strict=True):
        Image.fromarray(pixels[0].numpy()).save(path)
    return paths, test.labels.numpy()


def test_files_are_judged_as_training_judged_them(trained, exported, digits, tmp_path):
    paths, labels = digits
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("network.onnx", "network.json"):
        shutil.copy(exported / name, alone / name)
    result = json.loads((trained / "result.json").read_text())
    for model in (trained, exported, exported / "network.onnx", alone):
        predictions = bn.predict(model, paths, top=5, device="cpu")
        chosen = np.array([[choice.index for choice in each.top] for each in predictions])
        # The evaluation may have been in bfloat16, where the processor has that.
        assert (chosen[:, 0] == labels).mean() == pytest.approx(result["test_top1"], abs=0.01)
        assert (chosen == labels[:, None]).any(axis=1).mean() == pytest.approx(result["test_top5"], abs=0.01)
        assert [each.image for each in predictions] == paths


def test_the_command_prints_classes_and_one_document(exported, digits, capsys):
    paths = [str(path) for path in digits[0][:2]]
    assert run(["predict", str(exported), *paths, "--top", "2", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[3]] == paths
    assert all(line.endswith("%") for line in lines[1:3] + lines[4:])
    assert run(["predict", str(exported), *paths, "--top", "99", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model"] == str(exported)
    assert [each["image"] for each in document["images"]] == paths
    for each in document["images"]:
        probabilities = [choice["probability"] for choice in each["top"]]
        assert len(probabilities) == 10
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
        assert all(choice["class"] == str(choice["index"]) for choice in each["top"])


def test_unequal_files_of_all_kinds(folder_of, small, tmp_path):
    folder = folder_of(small(in_channels=3, num_classes=3))
    colour = Image.effect_noise((70, 70), 80).convert("RGB")
    made = {"wide.png": (90, 20), "tall.jpg": (33, 200), "tiny.webp": (3, 5), "square.bmp": (16, 16)}
    for name, size in made.items():
        colour.resize(size).save(tmp_path / name)
    colour.convert("L").save(tmp_path / "grey.png")
    paths = [tmp_path / name for name in (*made, "grey.png")]
    together = bn.predict(folder, paths)
    assert len({each.top[0].probability for each in together}) > 1
    for path, found in zip(paths, together, strict=True):
        (alone,) = bn.predict(str(folder), [str(path)])
        assert [choice.index for choice in alone.top] == [choice.index for choice in found.top]
        assert alone.top[0].probability == pytest.approx(found.top[0].probability, abs=1e-5)
        assert {choice.name for choice in alone.top} == {"kind 0", "kind 1", "kind 2"}


def test_every_wrong_file_is_named(exported, digits, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "half.png").write_bytes(digits[0][0].read_bytes()[:60])
    wrong = [tmp_path / name for name in ("text.png", "empty.jpg", "half.png", "missing.png")]
    # Further apart than a batch is long.
    files = [wrong[0], *digits[0][:70], *wrong[1:]]
    assert run(["predict", str(exported), *map(str, files), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert all(str(path) in printed.err for path in wrong)
    assert str(digits[0][0]) not in printed.err


def test_a_folder_stands_for_its_images(exported, digits, tmp_path, capsys):
    images = tmp_path / "my photos"
    (images / "more").mkdir(parents=True)
    (images / "notes.txt").touch()
    for name, path in zip(("b.png", "a.png", "more/c.png"), digits[0], strict=False):
        shutil.copy(path, images / name)
    assert run(["predict", str(exported), str(images), str(digits[0][0]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["images"]
    names = ["a.png", "b.png", "more/c.png"]
    assert [each["image"] for each in found] == [*(str(images / name) for name in names), str(digits[0][0])]
    (tmp_path / "empty").mkdir()
    assert run(["predict", str(exported), str(tmp_path / "empty")]) == 2
    assert "must hold some" in capsys.readouterr().err


def test_models_that_cannot_predict(trained, exported, digits, tmp_path, capsys):
    image = str(digits[0][0])

    def refused(*arguments: object) -> str:
        assert run(["predict", *map(str, arguments)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err

    shutil.copy(exported / "network.onnx", tmp_path / "lost.onnx")
    assert "lost.json" in refused(tmp_path / "lost.onnx", image)
    shutil.copy(exported / "network.json", tmp_path / "lost.json")
    (tmp_path / "lost.onnx").write_bytes(b"no graph")
    assert "onnxruntime can load" in refused(tmp_path / "lost.onnx", image)
    assert "the CPU" in refused(exported / "network.onnx", image, "--device", "cuda")
    assert "training's folder" in refused(image, image)
    assert "betanas train" in refused(tmp_path / "nowhere", image)
    assert "--top" in refused(exported, image, "--top", "0")
    assert "--device cpu" in refused(exported, image, "--device", "cuda:99")
    bn.export(trained, tmp_path / "code", formats=["source"])
    assert "python network.py" in refused(tmp_path / "code", image)


def test_numbered_classes_and_given_ones(folder_of, small, digits, tmp_path):
    folder = folder_of(small(num_classes=2), classes=None, data=None, stored_side=None)
    (found,) = bn.predict(folder, digits[0][:1])
    assert {choice.name for choice in found.top} == {"class 0", "class 1"}
    (tmp_path / "names.txt").write_text("even\nodd\n")
    (named,) = bn.predict(folder, digits[0][:1], classes=tmp_path / "names.txt")
    assert [choice.name for choice in named.top] == [["even", "odd"][choice.index] for choice in found.top]
    with pytest.raises(bn.UserError, match="2 classes"):
        bn.predict(folder, digits[0][:1], classes=["one"])
    with pytest.raises(bn.UserError, match="at least 1"):
        bn.predict(folder, digits[0][:1], top=0)


def test_onnx_needs_onnxruntime(exported, digits, capsys, monkeypatch):
    monkeypatch.setattr("betanas.extras.find_spec", lambda name: None)
    assert run(["predict", str(exported / "network.onnx"), str(digits[0][0])]) == 2
    assert "pip install 'betanas[onnx]'" in capsys.readouterr().err
