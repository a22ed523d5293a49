"""An 8-bit network is made with real images, and its loss is measured before it is called done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import betanas as bn
from betanas.cli.main import run
from betanas.errors import ExportError
from betanas.export.formats import onnx_runner
from betanas.export.quantisation import INT8_FILE, write_int8
from betanas.export.samples import Sample
from betanas.export.verification import logits_of


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("int8") / "model"
    assert run(["export", str(trained), "--to", str(target), "--format", "int8", "--max-loss", "3"]) == 0
    return target


def test_an_8_bit_network_is_written_and_its_loss_is_recorded(exported: Path) -> None:
    document = json.loads((exported / "network.json").read_text())
    found = document["quantisation"]
    assert sorted(document["files"]) == ["README.md", INT8_FILE], "the float32 form on the way is not kept"
    assert found["validation"]["top1_float"] - found["validation"]["top1"] <= 0.03
    assert found["final"]["images"] == 359, "all the test images that digits has"
    assert found["final"]["same"] > 0.9
    card = (exported / "README.md").read_text()
    assert "## In 8 bits" in card
    assert f"| 359 test images of digits | {found['final']['top1_float']:.2%} |" in card


def test_its_layers_are_8_bit_ones_with_weights_of_7_bits(exported: Path) -> None:
    graph = onnx.load(str(exported / INT8_FILE)).graph
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.data_type == 3]
    assert len([node for node in graph.node if node.op_type == "QuantizeLinear"]) > 10
    assert weights
    assert max(abs(tensor.astype(int)).max() for tensor in weights if tensor.ndim == 4) <= 64


def test_it_predicts_from_its_folder_and_as_a_file(exported: Path, tmp_path: Path) -> None:
    Image.new("L", (20, 20), 200).save(tmp_path / "grey.png")
    (first,) = bn.predict(exported, [tmp_path / "grey.png"])
    (second,) = bn.predict(exported / INT8_FILE, [tmp_path / "grey.png"])
    assert first == second


def test_without_real_images_nothing_is_written(folder_of, small, tmp_path: Path, capsys) -> None:
    folder = folder_of(small())
    assert run(["export", str(folder), "--to", str(tmp_path / "model"), "--format", "int8"]) == 2
    assert "--data DATA" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_images_of_other_classes_are_refused(trained: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(12):
            Image.new("L", (16, 16), 20 * number).save(tmp_path / "images" / name / f"{number}.png")
    with pytest.raises(ExportError, match="10 classes"):
        bn.export(trained, tmp_path / "model", formats=["int8"], data=str(tmp_path / "images"))
    assert not (tmp_path / "model").exists()


class Imbalanced(nn.Module):
    """Tells bright from dark by a small number that travels beside a large one, which 8 bits cannot hold together."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Conv2d(1, 2, 1)
        self.choose = nn.Conv2d(2, 2, 1)
        self.last = nn.Sequential(*(nn.Conv2d(2, 2, 1) for _ in range(4)))
        with torch.no_grad():
            self.spread.weight.copy_(torch.tensor([1.0, 1000.0]).view(2, 1, 1, 1))
            self.spread.bias.copy_(torch.tensor([-0.5, 4000.0]))
            self.choose.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).view(2, 2, 1, 1))
            self.choose.bias.zero_()
            for layer in self.last:
                layer.weight.copy_(torch.eye(2).view(2, 2, 1, 1))
                layer.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.last(self.choose(self.spread(images))).mean((2, 3))
        return logits


@pytest.fixture(scope="module")
def imbalanced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Imbalanced, Sample]:
    network = Imbalanced().eval()
    path = tmp_path_factory.mktemp("imbalanced") / "network.onnx"
    batch = torch.export.Dim("batch", min=1)
    torch.onnx.export(
        torch.export.export(network, (torch.rand(2, 1, 4, 4),), dynamic_shapes={"images": {0: batch}}, strict=False),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: "batch"}},
        external_data=False,
        verbose=False,
    ).save(str(path))
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(200, 1, 1, 1, generator=generator).expand(-1, -1, 4, 4).contiguous()
    labels = (images[:, 0, 0, 0] < 0.5).long()
    return path, network, Sample(images, "200 squares", real=True, labels=labels)


def test_layers_that_cost_too_much_stay_in_float32(imbalanced, tmp_path: Path) -> None:
    path, network, sample = imbalanced
    made = write_int8(
        path,
        tmp_path / "int8.onnx",
        expected=network,
        calibration=sample,
        validation=sample,
        final=None,
        tolerance=0.02,
    )
    assert made.layers == 6
    assert len(made.kept) == 2, "the large number passes from one layer to the next"
    assert made.validation.loss <= 0.02
    found = logits_of(onnx_runner(tmp_path / "int8.onnx"), sample.images).argmax(1)
    assert (found == sample.labels).float().mean().item() == pytest.approx(made.validation.top1)


def test_a_loss_beyond_the_tolerance_is_refused_and_nothing_is_left(imbalanced, tmp_path: Path) -> None:
    path, network, sample = imbalanced
    shared = {"calibration": sample, "validation": sample, "final": None}
    with pytest.raises(ExportError, match=r"at most -100 points .* --max-loss"):
        write_int8(path, tmp_path / "no.onnx", expected=network, tolerance=-1.0, **shared)
    assert list(tmp_path.iterdir()) == []


def test_where_an_image_costs_more_than_the_tolerance_the_refusal_says_so(imbalanced, tmp_path: Path) -> None:
    path, network, sample = imbalanced
    few = Sample(sample.images[:50], "50 squares", real=True, labels=sample.labels[:50])
    shared = {"calibration": sample, "validation": few, "final": None}
    with pytest.raises(ExportError, match=r"One of 50 images is 2\.00 points"):
        write_int8(path, tmp_path / "no.onnx", expected=network, tolerance=-1.0, **shared)


@pytest.fixture
def outlying(trained: Path, tmp_path: Path) -> Path:
    """A training whose maps all hold one huge constant channel, which no later layer looks at: 8 bits hold no more."""
    folder = tmp_path / "training"
    shutil.copytree(trained, folder)
    weights = load_file(folder / "network.safetensors")
    norms = {name.removesuffix("running_var") for name in weights if name.endswith("running_var")}
    for name, tensor in weights.items():
        if any(name.startswith(norm) for norm in norms):
            if name.endswith("weight"):
                tensor[0] = 0.0
            elif name.endswith("bias"):
                tensor[0] = 1e5
        elif name.endswith("weight") and tensor.ndim > 1 and tensor.shape[1] > 3:
            tensor[:, 0] = 0.0
    save_file(weights, folder / "network.safetensors")
    return folder


def test_a_network_that_8_bits_ruin_is_refused_with_exit_code_2(outlying: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "model"
    assert run(["export", str(outlying), "--to", str(target), "--format", "onnx", "--format", "int8"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "An 8-bit network must lose at most 0.5 points of accuracy" in said
    assert "layers in float32" in said
    assert "--max-loss" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training"], "nor is the ONNX graph before it"


@pytest.mark.parametrize("tolerance", [-0.1, 1.0])
def test_a_tolerance_that_is_no_share_is_refused(trained: Path, tmp_path: Path, tolerance: float) -> None:
    with pytest.raises(ExportError, match="share"):
        bn.export(trained, tmp_path / "model", formats=["int8"], tolerance=tolerance)
