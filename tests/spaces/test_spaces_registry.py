"""Search spaces by name, from a user's file and from other packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from betanas.errors import SpaceError
from betanas.spaces import BetaNet3, Range, available_spaces, get_space, published, register_space, registry

NARROW = """
from betanas.spaces import BetaNet3, Range, register_space

@register_space
class Narrow(BetaNet3):
    '''BetaNet3 with narrow networks.'''

    name = "narrow"
    presets = {"default": {**BetaNet3.presets["default"], "G0": Range(0.5, 1.0)}}
"""


@pytest.fixture(autouse=True)
def untouched_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_SPACES", dict(registry._SPACES))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_reports_spaces_are_there() -> None:
    assert available_spaces() == ("betanet2", "betanet3")
    assert get_space("betanet3").preset == "default"
    assert get_space("betanet3", ranges={"k": (2, 4)}, fixed={"B": 0.3}).free[0] == "k"


def test_unknown_space_names_the_known_ones() -> None:
    with pytest.raises(SpaceError, match=r"betanet2, betanet3\. Got 'resnet'.*a \.py file"):
        get_space("resnet")


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


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="file must exist") as caught:
        get_space(str(tmp_path / "nowhere.py"))
    assert "nowhere.py" in str(caught.value.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import a_module_that_is_not_there\n", "ModuleNotFoundError"),
        ("raise RuntimeError('as it happens')\n", "RuntimeError: as it happens"),
        (NARROW.replace('    name = "narrow"\n', ""), "a name of its own"),
        (NARROW.replace('"default": {', '"default": {"zeta": Range(0, 1), '), "unknown: zeta"),
        (NARROW.replace("Range(0.5, 1.0)", "Range(0.5, 1000)"), "can take values from 0.05 to 50"),
        (NARROW.replace('{"default": {**BetaNet3.presets["default"], "G0": Range(0.5, 1.0)}}', "{}"),
         "at least one preset"),
        (NARROW.replace("(BetaNet3)", "").replace("@register_space", "@register_space  # no base"), "AttributeError"),
    ],
)  # fmt: skip
def test_file_that_does_not_work_is_refused_and_leaves_nothing_behind(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SpaceError, match=fault):
        get_space(write(tmp_path / "broken.py", text))
    assert available_spaces() == ("betanet2", "betanet3")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("from betanas.spaces import BetaNet3\n", 0),
        (NARROW + NARROW.replace("Narrow", "Narrower").replace('"narrow"', '"narrower"'), 2),
    ],
)
def test_file_must_register_exactly_one_space(tmp_path: Path, text: str, count: int) -> None:
    with pytest.raises(SpaceError, match="exactly one space") as caught:
        get_space(write(tmp_path / "several.py", text))
    assert caught.value.value == count
    assert available_spaces() == ("betanet2", "betanet3")


def test_a_file_cannot_take_a_built_in_spaces_name(tmp_path: Path) -> None:
    text = NARROW.replace("(BetaNet3)", "(Base)").replace("import BetaNet3,", "import BetaNet3 as Base,")
    text = text.replace("class Narrow", "class BetaNet3").replace('"narrow"', '"betanet3"')
    text = text.replace("BetaNet3.presets", "Base.presets")
    with pytest.raises(SpaceError, match="a name of its own"):
        get_space(write(tmp_path / "impostor.py", text))
    assert type(get_space("betanet3")) is BetaNet3


def test_registering_twice_is_harmless() -> None:
    assert register_space(BetaNet3) is BetaNet3


def entry_point(value: str) -> list[EntryPoint]:
    return [EntryPoint(name="narrow", value=value, group=registry.ENTRY_POINT_GROUP)]


def test_a_packages_space_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a_package_with_a_space.py", NARROW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "entry_points", lambda group: entry_point("a_package_with_a_space:Narrow"))

    assert available_spaces() == ("betanet2", "betanet3", "narrow")
    assert get_space("narrow").name == "narrow"


def test_a_package_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: entry_point("a_package_that_is_gone:Narrow"))

    with pytest.raises(SpaceError, match=r"a_package_that_is_gone:Narrow.*ModuleNotFoundError"):
        get_space("narrow")
