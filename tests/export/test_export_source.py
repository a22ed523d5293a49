"""The generated source: it runs where BetaNAS is not, is formatted, and reads like a network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import betanas as bn
from betanas.export import Predictor, load_classifier
from betanas.export.sidecar import read_sidecar
from betanas.export.source_code import source_code
from betanas.training.resample import resize

# Run with -I: neither the working directory nor the environment adds places to import from.
ELSEWHERE = """
import json, sys

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "betanas":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nowhere())
try:
    import betanas
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("betanas can be imported")

folder, place, *pictures = sys.argv[1:]
sys.path.insert(0, folder)
import runpy
import network as module
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

images = load_file(place + "/images.safetensors")["images"]
network = module.load()
with torch.inference_mode():
    found = {"logits": network(images)}
for number, picture in enumerate(pictures):
    with Image.open(picture) as image:
        found[str(number)] = module.preprocess(image)
save_file(found, place + "/found.safetensors")
drops = [each.p for each in network.modules() if type(each).__name__ == "StochasticDepth"]
print(json.dumps([module.CLASSES, drops, "betanas" in sys.modules]))
sys.argv = ["network.py", *pictures]
runpy.run_path(folder + "/network.py", run_name="__main__")
"""


def pictures(place: Path) -> list[Path]:
    """Files of several sizes, formats and modes."""
    gradient = Image.linear_gradient("L")
    colour = Image.merge("RGB", (gradient, gradient.rotate(90), gradient.transpose(Image.Transpose.FLIP_TOP_BOTTOM)))
    made = {
        "grey.png": gradient.resize((31, 20)),
        "photo.jpg": colour.resize((700, 500)),
        "drawing.png": colour.resize((40, 90)).convert("RGBA"),
        "palette.gif": colour.resize((25, 25)).convert("P"),
        "small.bmp": colour.resize((5, 7)),
    }
    made["drawing.png"].putalpha(gradient.resize((40, 90)))
    for name, image in made.items():
        image.save(place / name)
    return [place / name for name in made]


@pytest.mark.parametrize("channels", [1, 3])
def test_it_runs_where_betanas_is_not(folder_of, small, tmp_path, channels):
    blueprint = small(in_channels=channels, num_classes=4)
    names = ['a "quoted" one', "Straße", "back\\slash", "it's"]
    folder = folder_of(blueprint, classes=names)
    bn.export(folder, tmp_path / "model", formats=["source"])
    images = torch.rand(5, channels, 16, 16)
    save_file({"images": images}, tmp_path / "images.safetensors")
    files = pictures(tmp_path)
    command = [sys.executable, "-I", "-c", ELSEWHERE, tmp_path / "model" / "source", tmp_path, *files]
    answer = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    first, *lines = answer.stdout.splitlines()
    classes, drops, loaded = json.loads(first)
    assert (classes, loaded) == (names, False)
    assert drops == pytest.approx([layer.drop_path for layer in blueprint.layers if layer.residual])
    found = load_file(tmp_path / "found.safetensors")
    assert torch.allclose(found["logits"], load_classifier(folder)(images), atol=1e-4, rtol=0)
    predictor = Predictor(folder, device="cpu")
    pixels, unreadable = predictor._read(files)
    assert unreadable == []
    for number, image in enumerate(pixels):
        expected = resize(image[None].float(), 16) / 255
        assert torch.allclose(found[str(number)], expected, atol=1e-5), files[number]
    expected = [f"{each.image}: {choice.name} " for each in predictor(files) for choice in each.top]
    assert [line[: line.rindex(" ") + 1] for line in lines] == expected


SHAPES = [
    ("small", {}),
    ("small", {"resolution": 224, "in_channels": 3, "num_classes": 1000}),
    ("small", {"resolution": 8, "num_classes": 2}),
    ("betanet2", {"resolution": 16, "num_classes": 10, "in_channels": 1}),
    ("betanet2", {"resolution": 384, "num_classes": 100, "in_channels": 3}),
    ("betanet3", {"resolution": 16, "num_classes": 10, "in_channels": 1}),
    ("betanet3", {"resolution": 224, "num_classes": 100, "in_channels": 3}),
    ("betanet3", {"resolution": 1024, "num_classes": 100, "in_channels": 3}),
]


def sidecar_of(folder: Path, blueprint: bn.Blueprint, edit) -> str:
    channels = blueprint.in_channels
    edit(
        folder,
        architecture=blueprint.to_dict(),
        resolution=blueprint.resolution,
        classes=[str(number) for number in range(blueprint.num_classes)],
        scale=[0.0147, 0.0153, 0.0142][:channels],
        offset=[-1.9, -1.8, -1.6][:channels],
    )
    return source_code(read_sidecar(folder / "network.json"))


def test_it_is_formatted_and_has_no_lint(folder_of, small, published_network, edit, tmp_path):
    folder, written = folder_of(small()), tmp_path / "written"
    written.mkdir()
    blueprints = [small(**sizes) if name == "small" else published_network(name, **sizes) for name, sizes in SHAPES]
    head, *_ = small().layers
    blueprints.append(bn.Blueprint(16, 1, 3, (head,), latent=9))  # a head and nothing else
    for number, blueprint in enumerate(blueprints):
        text = sidecar_of(folder, blueprint, edit)
        assert text == sidecar_of(folder, blueprint, edit)
        (written / f"network{number}.py").write_text(text)
    edit(
        folder,
        architecture={"network": "resnet50", "num_classes": 3, "in_channels": 1},
        classes=["a", "b", "c"],
        scale=[0.01],
        offset=[-1.0],
    )
    (written / "benchmark.py").write_text(source_code(read_sidecar(folder / "network.json")))
    for arguments in (
        ["format", "--check", "--diff"],
        ["check", "--extend-select", "I,UP,B,RET,SIM", "--ignore", "B905"],
    ):
        answer = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "--isolated", "--target-version", "py311", str(written)],
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stdout


def test_it_reads_like_a_network(folder_of, small, edit):
    text = sidecar_of(folder_of(small()), small(), edit)
    assert (
        """\
        # 16 to 8 pixels
        self.stem = ConvNormSiLU(1, 8, kernel_size=3, stride=2)
        # 8 pixels
        self.stage1 = nn.Sequential(
            FusedMBConv(8, 8, hidden=16, drop_path=0.1),
            FusedMBConv(8, 12, hidden=16),
        )
        # 8 to 4 pixels
        self.stage2 = nn.Sequential(
            MBConv(12, 16, hidden=24, squeeze=3, stride=2),
            *(MBConv(16, 16, hidden=32, squeeze=4, drop_path=0.2) for _ in range(2)),
        )
        # 4 to 2 pixels
        self.stage3 = nn.Sequential(
            ConvNormSiLU(16, 16, kernel_size=3, stride=2),
        )
        self.latent = ConvNormSiLU(16, 32, kernel_size=1)
"""
        in text
    )
    assert "betanas" not in text.replace("BetaNAS", "")
