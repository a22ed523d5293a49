"""The gate of trust: what a document names outside itself, and who may say that it is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from betanas.errors import StudyError
from betanas.pretrained.wheels import WHEELS
from betanas.trust import check_trust, named_outside


@dataclass(frozen=True)
class Machine:
    address: str | None = None
    data_root: str | None = None
    workers: int | None = None


def test_weights_that_come_as_packages_need_no_trust() -> None:
    assert named_outside({"networks": [f"timm:{name}" for name in WHEELS]}) == ()


def test_what_stays_inside_is_named_by_nobody() -> None:
    document = {
        "space": "betanet3",
        "data": "digits",
        "classes": ["a.py", "http://b"],
        "options": {"executor": "ray", "address": "auto", "data_root": None, "workers": 8, "plugins": []},
        "machine": Machine(address="local"),
        "network": "timm:tf_efficientnet_lite0",
        "teacher": str(Path(__file__).parent),
        "recipe_settings": {"mixup": 0.2, "name": "fast"},
    }
    assert named_outside(document) == ()
    check_trust(document, trusted=False)


@pytest.mark.parametrize(
    ("document", "field", "means"),
    [
        ({"space": "evil.py"}, "space", "run"),
        ({"data": "evil.py/."}, "data", "run"),
        ({"a field of a later version": ["evil.PY"]}, "a field of a later version", "run"),
        ({"objective": {"kind": "function", "file": "evil.so"}}, "objective.file", "run"),
        ({"options": {"plugins": ["evil"]}}, "options.plugins", "run"),
        ({"options": {"address": "10.0.0.1:6379"}}, "options.address", "connect"),
        ({"machine": Machine(address="ray://head:10001")}, "machine.address", "connect"),
        ({"tracker": {"url": "http://elsewhere"}}, "tracker.url", "connect"),
        ({"study": "postgresql://elsewhere/db?study=a"}, "study", "connect"),
        ({"network": "timm:resnet18"}, "network", "download"),
        ({"training": {"teacher": "timm:resnet18"}}, "training.teacher", "download"),
        ({"training": {"teacher": "/home/somebody/model.onnx"}}, "training.teacher", "open"),
        ({"machine": Machine(data_root="/etc")}, "machine.data_root", "write"),
        ({"machine": Machine(workers=10**6)}, "machine.workers", "start"),
    ],
)
def test_what_reaches_out_needs_trust(document: object, field: str, means: str) -> None:
    (found,) = named_outside(document)
    assert found.field == field
    assert found.means.startswith(means)
    with pytest.raises(StudyError, match="--trust-files"):
        check_trust(document, trusted=False)
    check_trust(document, trusted=True)
    check_trust(document, trusted=False, typed=[found.value])
    if means == "run":
        with pytest.raises(StudyError):
            check_trust(document, trusted=False, code_only=True)
    else:
        check_trust(document, trusted=False, code_only=True)


def test_a_link_to_a_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").touch()
    (tmp_path / "digits").symlink_to("evil.py")
    (found,) = named_outside({"data": "digits"})
    assert found.means == "run Python files"


def test_the_message_says_what_to_type_instead() -> None:
    document = {"machine": Machine(address="head:6379", data_root="/data")}
    with pytest.raises(StudyError) as refused:
        check_trust(document, trusted=False, options=("address", "data_root"))
    assert "--address, --data-root" in str(refused.value)
    assert "head:6379" in str(refused.value)
    with pytest.raises(StudyError) as refused:
        check_trust({**document, "space": "evil.py"}, trusted=False, options=("address", "data_root"))
    assert "--address" not in str(refused.value), "it would not be enough"
