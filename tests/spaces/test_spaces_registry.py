"""Search spaces by name and from a user's file; what every kind has in common is in tests/test_registry.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from betanas.errors import SpaceError
from betanas.spaces import Range, available_spaces, get_space, published
from betanas.spaces.registry import SPACES

NARROW = """
from betanas.spaces import BetaNet3, Range, register_space

@register_space
class Narrow(BetaNet3):
    '''BetaNet3 with narrow networks.'''

    name = "narrow"
    presets = {"default": {**BetaNet3.presets["default"], "G0": Range(0.5, 1.0)}}
"""


@pytest.fixture(autouse=True)
def _untouched_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SPACES, "_registered", {})


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_reports_spaces_and_ours_are_there() -> None:
    assert available_spaces() == ("betanet2", "betanet3", "convnet")
    assert get_space("betanet3").preset == "default"
    assert get_space("betanet3", ranges={"k": (2, 4)}, fixed={"B": 0.3}).free[0] == "k"


def test_users_file_is_a_space_and_is_known_by_name_from_then_on(tmp_path: Path) -> None:
    space = get_space(write(tmp_path / "narrow.py", NARROW))

    assert space.name == "narrow"
    assert space.parameters["G0"] == Range(0.5, 1.0)
    assert space.blueprint(published("betanet3"), resolution=32, num_classes=10).num_params > 0
    assert type(get_space("narrow")) is type(space)
    assert "narrow" in available_spaces()


def test_users_file_can_be_edited_and_loaded_again(tmp_path: Path) -> None:
    file = write(tmp_path / "narrow.py", NARROW)
    get_space(file)
    write(tmp_path / "narrow.py", NARROW.replace("Range(0.5, 1.0)", "Range(0.25, 0.75)"))

    assert get_space(file).parameters["G0"] == Range(0.25, 0.75)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (NARROW.replace('    name = "narrow"\n', ""), "a name of its own"),
        (NARROW.replace('"default": {', '"default": {"zeta": Range(0, 1), '), "unknown: zeta"),
        (NARROW.replace("Range(0.5, 1.0)", "Range(0.5, 1000)"), "can take values from 0.05 to 50"),
        (NARROW.replace('{"default": {**BetaNet3.presets["default"], "G0": Range(0.5, 1.0)}}', "{}"),
         "at least one preset"),
    ],
)  # fmt: skip
def test_a_space_that_does_not_work_is_refused_and_leaves_nothing_behind(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SpaceError, match=fault):
        get_space(write(tmp_path / "broken.py", text))
    assert available_spaces() == ("betanet2", "betanet3", "convnet")
