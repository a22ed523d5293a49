"""Whatever has a name: built in, registered, from a package or from a file; the same for every kind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from betanas.data.registry import SOURCES
from betanas.errors import MissingExtraError, UserError
from betanas.registry import Registry
from betanas.search.executors.registry import EXECUTORS
from betanas.search.objectives import OBJECTIVES
from betanas.search.propose.registry import STRATEGIES
from betanas.spaces.registry import SPACES
from betanas.spaces.scaling.registry import RULES

SPACE = """
from betanas import Range, register_space
from betanas.spaces import BetaNet3

@register_space
class Mine(BetaNet3):
    '''One.'''

    name = "mine"
"""
STRATEGY = """
from betanas import register_strategy
from betanas.search.propose.sequences import Sobol

@register_strategy
class Mine(Sobol):
    '''One.'''

    name = "mine"
"""
SOURCE = """
import numpy as np
from betanas import register_source
from betanas.data import ArraySource

@register_source
class Mine(ArraySource):
    '''One.'''

    name, classes, in_channels, side = "mine", ("one", "two"), 1, 8

    def read(self, part):
        return np.full((6, 1, 8, 8), 9, dtype=np.uint8), np.arange(6) % 2
"""
OBJECTIVE = """
from betanas import register_objective

@register_objective
def mine(record, blueprint):
    '''One.'''
    return record.top1
"""
EXECUTOR = """
from betanas import register_executor
from betanas.search.executors.inline import InlineExecutor

@register_executor
class Mine(InlineExecutor):
    '''One.'''

    name = "mine"
"""
RULE = """
from betanas.spaces.scaling import register_rule
from betanas.spaces.scaling.rules import SelfSimilar

@register_rule
class Mine(SelfSimilar):
    '''One.'''

    name = "mine"
"""


class Kind(NamedTuple):
    registry: Registry[Any]
    file: str
    typo: str
    meant: str

    @property
    def plural(self) -> str:
        return "search strategies" if self.registry is STRATEGIES else f"{self.registry.kind}s"

    @property
    def item(self) -> str:
        """What `file` calls it."""
        return "mine" if self.registry is OBJECTIVES else "Mine"

    def register(self, item: Any) -> None:
        """As its `register_` function does; a function has no name of its own to go by."""
        self.registry.register_as("mine" if self.registry is OBJECTIVES else getattr(item, "name", None), item)


KINDS = [
    Kind(SPACES, SPACE, "betnet3", "betanet3"),
    Kind(STRATEGIES, STRATEGY, "gepi", "gpei"),
    Kind(SOURCES, SOURCE, "Fashion_MNIST", "fashion-mnist"),
    Kind(OBJECTIVES, OBJECTIVE, "acuracy", "accuracy"),
    Kind(EXECUTORS, EXECUTOR, "lokal", "local"),
    Kind(RULES, RULE, "selfsimilar", "self-similar"),
]


# What tests import by a name that the next test uses for something else.
MODULES = ("module_of_a_package", "a_helper_module")


@pytest.fixture(params=KINDS, ids=lambda kind: kind.registry.kind)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kind]:
    """A kind whose registry forgets after the test what the test registers."""
    found: Kind = request.param
    monkeypatch.setattr(found.registry, "_registered", {})
    yield found
    for name in MODULES:
        sys.modules.pop(name, None)


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> Install:
    """Installs a package that brings one of the kind, as pip would: a module, and what is written about it."""

    def make(text: str, value: str, *, package: str = "brings-mine", name: str = "mine") -> None:
        place = tmp_path / package
        facts = place / f"{package.replace('-', '_')}-1.2.dist-info"
        facts.mkdir(parents=True)
        (place / "module_of_a_package.py").write_text(text)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (facts / "entry_points.txt").write_text(f"[{kind.registry.group}]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(place)

    return make


def write(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


class TestNames:
    def test_every_built_in_one_is_there_under_its_name(self, kind: Kind) -> None:
        assert kind.registry.names()
        for name in kind.registry.names():
            with suppress(MissingExtraError):
                found = kind.registry.get(name)
                known = found.__dataclass_fields__["kind"].default if kind.registry is OBJECTIVES else found.name
                assert known == name

    def test_a_wrong_name_gets_the_nearest_and_the_list(self, kind: Kind) -> None:
        with pytest.raises(UserError) as refused:
            kind.registry.get(kind.typo)
        assert str(refused.value).endswith(f"Got {kind.typo!r}. Did you mean {kind.meant}?")
        assert all(name in refused.value.rule for name in kind.registry.names())
        assert refused.value.exit_code == 2

    def test_a_name_like_no_other_says_what_may_be_typed(self, kind: Kind) -> None:
        with pytest.raises(UserError, match=r"Got 'zzz'\. Type one of them, or a \.py file") as refused:
            kind.registry.get("zzz")
        assert str(refused.value).startswith(f"The {kind.plural} are {kind.registry.names()[0]}, ")


class TestRegistering:
    def test_a_file_again_is_harmless_and_its_newest_stands(self, kind: Kind, tmp_path: Path) -> None:
        file = write(tmp_path / "mine.py", kind.file)
        first, second = kind.registry.get(file), kind.registry.get(file)
        assert first is not second
        assert kind.registry.get("mine") is second
        kind.register(second)

    def test_files_of_one_name_in_two_folders_are_told_apart(self, kind: Kind, tmp_path: Path) -> None:
        kind.registry.get(write(tmp_path / "one" / "mine.py", kind.file))
        with pytest.raises(UserError, match=r"must have a name of its own\. Got 'mine'\. It is the name of betanas_"):
            kind.registry.get(write(tmp_path / "two" / "mine.py", kind.file))

    def test_a_built_in_name_is_taken(self, kind: Kind, tmp_path: Path) -> None:
        name = kind.registry.names()[0]
        text = kind.file.replace('"mine"', f'"{name}"').replace("def mine", f"def {name}")
        with pytest.raises(UserError, match=rf"a name of its own\. Got '{name}'\. It is the name of betanas\."):
            kind.registry.get(write(tmp_path / "mine.py", text))
        assert kind.registry.get(name).__module__.startswith("betanas.")

    @pytest.mark.parametrize("name", ["", "two words", "mine.py", "a/b", ".hidden", "--option", None, 3])
    def test_a_name_that_cannot_be_typed_is_refused(self, kind: Kind, name: object) -> None:
        built_in = kind.registry.get(kind.registry.names()[0])
        wrong = type("Wrong", (built_in,), {"name": name})
        with pytest.raises(UserError, match="name must be a word"):
            kind.registry.register(wrong)

    def test_what_is_none_of_the_kind_is_refused(self, kind: Kind) -> None:
        for wrong in (3, *([type("Wrong", (), {"name": "wrong"})] if kind.item == "Mine" else [])):
            with pytest.raises(UserError, match=r"must be a (class that derives from|function)"):
                kind.register(wrong)


@pytest.mark.parametrize(
    "registry", [kind.registry for kind in KINDS if kind.item == "Mine"], ids=lambda each: each.kind
)
def test_a_class_that_lacks_something_is_refused_with_what_it_lacks(registry: Registry[Any]) -> None:
    assert registry._base is not None
    wrong = type("Wrong", (registry._base,), {"name": "wrong"})
    with pytest.raises(UserError, match=r"must define everything .* without \w+"):
        registry.register(wrong)


class TestFiles:
    def test_a_file_stands_where_a_name_does(self, kind: Kind, tmp_path: Path) -> None:
        found = kind.registry.get(write(tmp_path / "mine.py", kind.file))
        assert found.__doc__ == "One."
        assert "mine" in kind.registry.names()

    def test_a_helper_module_that_stays_imported_is_no_obstacle(
        self, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = kind.file.replace("@register_", "# register_")
        write(tmp_path / "a_helper_module.py", text)
        monkeypatch.syspath_prepend(tmp_path)
        register = next(line for line in text.splitlines() if line.startswith("# register_")).removeprefix("# ")
        (imported,) = (line for line in text.splitlines() if register in line and "import" in line)
        file = write(
            tmp_path / "mine.py", f"{imported}\nfrom a_helper_module import {kind.item}\n{register}({kind.item})\n"
        )
        assert kind.registry.get(file) is kind.registry.get(file)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("def broken(:\n", r"must load without errors\. Got '.*bad\.py'\. SyntaxError"),
            ("\nimport a_module_that_is_not_there\n", r"bad\.py'\. ModuleNotFoundError in line 2: No module"),
            ("import sys\nsys.exit(3)\n", r"SystemExit in line 2: 3"),
        ],
    )
    def test_a_file_that_fails_is_named_and_leaves_nothing_behind(
        self, kind: Kind, tmp_path: Path, text: str, message: str
    ) -> None:
        before = set(sys.modules)
        with pytest.raises(UserError, match=message):
            kind.registry.get(write(tmp_path / "bad.py", text))
        assert not {name for name in set(sys.modules) - before if name.startswith("betanas_user_file_bad")}

    def test_a_file_that_fails_late_leaves_nothing_behind(self, kind: Kind, tmp_path: Path) -> None:
        line = len(kind.file.splitlines()) + 1
        with pytest.raises(UserError, match=rf"RuntimeError in line {line}: as it happens"):
            kind.registry.get(write(tmp_path / "late.py", kind.file + "raise RuntimeError('as it happens')\n"))
        assert "mine" not in kind.registry.names()

    def test_a_file_with_none_is_refused(self, kind: Kind, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"must register exactly one .* Got 0\..*register_"):
            kind.registry.get(write(tmp_path / "none.py", "x = 1\n"))

    def test_a_file_with_two_is_refused(self, kind: Kind, tmp_path: Path) -> None:
        second = kind.file.replace("Mine", "Other").replace('"mine"', '"other"').replace("def mine", "def other")
        with pytest.raises(UserError, match=r"must register exactly one .* Got 2.*register_"):
            kind.registry.get(write(tmp_path / "two.py", kind.file + second))
        assert not {"mine", "other"} & set(kind.registry.names())

    def test_a_missing_file_is_refused(self, kind: Kind, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"file must exist\. Got '.*nowhere\.py'\. The file must"):
            kind.registry.get(str(tmp_path / "nowhere.py"))


class TestPackages:
    def test_a_package_brings_one(self, kind: Kind, install: Install) -> None:
        install(kind.file, f"module_of_a_package:{kind.item}")
        assert kind.registry.names()[-1] == "mine"
        assert kind.registry.get("mine").__doc__ == "One."

    def test_a_package_that_fails_is_named_with_what_it_raised(self, kind: Kind, install: Install) -> None:
        install("1 / 0\n", f"module_of_a_package:{kind.item}")
        with pytest.raises(
            UserError,
            match=r"package must load without errors\. Got 'mine = .* of brings-mine 1\.2'\. Zero",
        ):
            kind.registry.get("mine")

    def test_a_package_that_brings_something_else_is_named(self, kind: Kind, install: Install) -> None:
        install("Mine = mine = 3\n", f"module_of_a_package:{kind.item}")
        with pytest.raises(UserError, match=r"brings-mine 1\.2'\. \w+Error: An? .* must be a"):
            kind.registry.get("mine")

    def test_an_entry_point_has_the_name_of_its_class(self, kind: Kind, install: Install) -> None:
        install(kind.file, f"module_of_a_package:{kind.item}", name="another")
        if kind.item == "mine":  # a function has no name of its own
            assert kind.registry.get("another").__doc__ == "One."
        else:
            with pytest.raises(UserError, match=r"another = .* must have the name of what it loads\. Got 'mine'"):
                kind.registry.get("another")

    def test_two_packages_of_one_name_are_both_named(self, kind: Kind, install: Install) -> None:
        install(kind.file, f"module_of_a_package:{kind.item}")
        install(kind.file, "another_module:Mine", package="brings-another")
        with pytest.raises(UserError, match=r"One package alone .*brings-another 1\.2; mine.*brings-mine 1\.2"):
            kind.registry.get("mine")

    def test_a_built_in_one_is_not_replaced(self, kind: Kind, install: Install) -> None:
        name = kind.registry.names()[0]
        install("1 / 0\n", "module_of_a_package:Mine", name=name)
        assert kind.registry.get(name).__module__.startswith("betanas.")


def test_names_cost_no_import_of_what_they_stand_for() -> None:
    code = (
        "import sys\n"
        "from betanas.search.executors.registry import available_executors\n"
        "from betanas.search.objectives import OBJECTIVES\n"
        "from betanas.search.propose.registry import available_strategies\n"
        "from betanas.spaces.registry import available_spaces\n"
        "print(*available_executors(), *available_strategies(), *available_spaces(), *OBJECTIVES.names())\n"
        "heavy = ('torch', 'ax', 'optuna', 'ray', 'betanas.search.executors.local')\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"inline", "gpei", "betanet2", "pareto"} <= set(done.stdout.split())
