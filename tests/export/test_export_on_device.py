"""LiteRT, ExecuTorch and Core ML: each written by its own package and, where that can be done here, run by it.

Skipped visibly where a package is not installed: pip install 'betanas[litert]', 'betanas[executorch]',
'betanas[coreml]'.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from coreml_program import read_program
from torch import Tensor, nn

import betanas as bn
from betanas.blueprint import Blueprint
from betanas.cli.main import run
from betanas.data import load_test, open_source
from betanas.errors import ExportError
from betanas.export import load_classifier, on_device
from betanas.export.classifier import BytesClassifier, ImageClassifier
from betanas.export.sidecar import read_sidecar

FILES = {
    "litert": on_device.LITERT_FILE,
    "executorch": on_device.EXECUTORCH_FILE,
    "coreml": on_device.COREML_FOLDER,
}
HERE = [name for name, packages in on_device.PACKAGES.items() if all(map(find_spec, packages))]
RUN_HERE = [name for name in HERE if name != "coreml" or sys.platform == "darwin"]


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(name not in HERE, reason=f"{', '.join(on_device.PACKAGES[name])} not installed")


@pytest.fixture(scope="module", params=[False, True], ids=["floats", "bytes"])
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Every format whose packages are here, without and with preprocessing inside."""
    if not HERE:
        pytest.skip("none of the packages is installed")
    target = tmp_path_factory.mktemp("exported") / "model"
    arguments = ["export", str(trained), "--to", str(target)]
    arguments += [each for name in HERE for each in ("--format", name)]
    assert run([*arguments, *(["--with-preprocessing"] if request.param else [])]) == 0
    return target


def takes_bytes(exported: Path) -> bool:
    return bool(json.loads((exported / "network.json").read_text())["preprocessing"])


def test_what_can_be_run_here_was_checked_and_the_rest_named(exported: Path) -> None:
    document = json.loads((exported / "network.json").read_text())
    assert set(document["verification"]) == set(RUN_HERE)
    assert document["unchecked"] == [name for name in HERE if name not in RUN_HERE]
    for found in document["verification"].values():
        assert (found["images"], found["validation_images"], found["agreement"]) == (359, 145, 1.0)
        assert found["largest_difference"] < 1e-4
    card = (exported / "README.md").read_text()
    if "coreml" in document["unchecked"]:
        assert "only macOS can: coreml" in card
    assert all(FILES[name] in card for name in HERE)


def test_files_lie_there_and_tell_nothing_of_this_machine(exported: Path, trained: Path) -> None:
    here = (str(Path(bn.__file__).parent), str(trained.parent))
    for name in HERE:
        path = exported / FILES[name]
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        assert files
        for file in files:
            assert not any(place.encode() in file.read_bytes() for place in here), file


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in ("litert", "executorch")])
def test_the_files_own_runtime_gives_what_pytorch_gives(exported: Path, trained: Path, name: str) -> None:
    """By the package's documented calls alone, as an app makes them."""
    test = load_test(open_source("digits"), resolution=16)
    image = test.images[:1] if takes_bytes(exported) else torch.rand(1, 1, 16, 16)
    output = "probabilities" if takes_bytes(exported) else "logits"
    given = image.permute(0, 2, 3, 1).contiguous() if takes_bytes(exported) else image
    if name == "litert":
        from ai_edge_litert.interpreter import Interpreter

        answer = Interpreter(str(exported / FILES[name])).get_signature_runner()(images=given.numpy())
        found = torch.from_numpy(answer[output])
    else:
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(exported / FILES[name])
        (found,) = program.load_method("forward").execute([given])
    classifier = load_classifier(trained)
    if takes_bytes(exported):
        expected = classifier(nn.functional.interpolate(image / 255, (16, 16), mode="bilinear")).softmax(1)
    else:
        expected = classifier(image)
    assert torch.allclose(found, expected, atol=1e-4)


@needs("executorch")
def test_executorch_hands_the_convolutions_to_xnnpack(exported: Path) -> None:
    assert b"XnnpackBackend" in (exported / FILES["executorch"]).read_bytes()


@needs("coreml")
def test_coreml_says_what_goes_in_and_comes_out(exported: Path) -> None:
    import coremltools

    specification = coremltools.models.MLModel(str(exported / FILES["coreml"]), skip_model_load=True).get_spec()
    (entry,) = specification.description.input
    outputs = {each.name: each.type for each in specification.description.output}
    assert entry.name == "images"
    if takes_bytes(exported):
        picture = entry.type.imageType
        assert (picture.width, picture.height) == (8, 8)
        assert picture.colorSpace == coremltools.proto.FeatureTypes_pb2.ImageFeatureType.GRAYSCALE
        assert outputs.keys() == {"classLabel", "probabilities"}
        assert specification.description.predictedProbabilitiesName == "probabilities"
        (classify,) = [each for each in operations(specification) if each.type == "classify"]
        (labels,) = classify.inputs["classes"].arguments
        named = [each.immediateValue.tensor.strings.values[0] for each in labels.value.immediateValue.list.values]
        assert named == [str(digit) for digit in range(10)]
    else:
        assert list(entry.type.multiArrayType.shape) == [1, 1, 16, 16]
        assert list(outputs["logits"].multiArrayType.shape) == [1, 10]


def operations(specification: Any) -> list[Any]:
    (block,) = specification.mlProgram.functions["main"].block_specializations.values()
    return list(block.operations)


def a_network(kind: str, small: Callable[..., Blueprint]) -> Blueprint:
    if kind == "every kind of layer":
        return small(in_channels=3)
    space = bn.get_space("convnet", blocks=kind)
    vector = {name: each.middle.low for name, each in space.parameters.items()}
    return space.blueprint(vector, resolution=24, num_classes=7, in_channels=3)


@needs("coreml")
@pytest.mark.parametrize("preprocessing", [False, True], ids=["floats", "bytes"])
@pytest.mark.parametrize("kind", ["every kind of layer", "ordinary", "lite", "lite-hardswish"])
def test_coremls_program_computes_what_pytorch_computes(
    kind: str,
    preprocessing: bool,
    folder_of: Callable[..., Path],
    small: Callable[..., Blueprint],
    tmp_path: Path,
) -> None:
    """Read back from the package and computed operation by operation, since Core ML itself needs macOS."""
    folder = folder_of(a_network(kind, small))
    sidecar, classifier = read_sidecar(folder / "network.json"), load_classifier(folder).eval()
    exportable = BytesClassifier(classifier, sidecar).eval() if preprocessing else classifier
    on_device.write_coreml(sidecar, exportable, tmp_path)
    compute = read_program(tmp_path / on_device.COREML_FOLDER)
    for seed in range(3):
        torch.manual_seed(seed)
        images = exportable.example(1)
        given = images.permute(0, 3, 1, 2).float() if preprocessing else images
        with torch.inference_mode():
            assert torch.allclose(compute(given), exportable(images), atol=1e-4)


class Sorting(nn.Module):
    """Does what no format for phones expresses: it asks for the singular values of an image."""

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        return torch.linalg.svdvals(images[:, 0])[:, :10]


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in FILES])
def test_what_a_format_cannot_express_is_refused(
    name: str, folder_of: Callable[..., Path], small, tmp_path: Path
) -> None:
    sidecar = read_sidecar(folder_of(small()) / "network.json")
    write = {
        "litert": on_device.write_litert,
        "executorch": on_device.write_executorch,
        "coreml": on_device.write_coreml,
    }
    with pytest.raises(ExportError, match=r"must be able to express every part .* Export another --format"):
        write[name](sidecar, ImageClassifier(Sorting(), sidecar).eval(), tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_package_is_named_before_anything_is_written(
    name: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("betanas.extras.find_spec", lambda package: None)
    assert run(["export", str(trained), "--to", str(tmp_path / "model"), "--format", name]) == 2
    printed = capsys.readouterr()
    assert f"pip install 'betanas[{name}]'" in printed.err
    assert list(tmp_path.iterdir()) == []


def test_standard_output_holds_json_alone(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever converters print."""
    if not HERE:
        pytest.skip("none of the packages is installed")
    command = ["export", str(trained), "--to", str(tmp_path / "model"), "--json", "--format", HERE[-1]]
    assert run(command) == 0
    printed = json.loads(capfd.readouterr().out)
    assert set(printed["verification"]) | set(printed["unchecked"]) == {HERE[-1]}
