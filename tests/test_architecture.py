"""The import rule of docs/architecture.md: each part may import what stands to its left, nothing to its right."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import betanas as bn
from betanas.cli.commands import COMMANDS
from betanas.cli.main import app

PACKAGE = Path(bn.__file__).parent

# From left to right. A part may import itself, the parts before it and what stands at the root beside them.
ORDER = [
    "errors",
    "extras",
    "quantities",
    "declaration",
    "environment",
    "intervals",
    "host_load",
    "host_memory",
    "userfile",
    "registry",
    "blocks",
    "trust",
    "files",
    "lazy",
    "lifetimes",
    "blueprint",
    "cost",
    "spaces",
    "data",
    "pretrained",
    "models",
    "training",
    "search",
    "experiments",
    "testing",
]
ORDER += ["analysis", "notebook", "display", "export", "library", "timm", "profiling", "finding", "cli", "calls"]

# What suggests candidates: `search/propose` alone imports it.
MODELS = ("ax", "botorch", "gpytorch", "linear_operator", "optuna", "smac", "ConfigSpace", "cmaes")

# What a part must not import although it stands to its left, and the libraries it must do without.
NEVER = {
    "blocks": {"torch", *MODELS},
    "blueprint": {"torch", *MODELS},
    "cost": {"torch", *MODELS},
    "spaces": {"torch", *MODELS},
    "pretrained": {"betanas.spaces", *MODELS, "plotly"},
    "models": {"betanas.spaces", "betanas.search"},
    "data": {"betanas.search", "betanas.spaces", "betanas.models"},
    "training": {"betanas.spaces", *MODELS},
    "search": {"plotly", "dash"},
    "experiments": {"plotly", "dash"},
    "analysis": {"torch", *MODELS},
    "library": {"betanas.search", "betanas.analysis", *MODELS, "plotly"},
    "timm": {"betanas.spaces", "betanas.search", "betanas.analysis", *MODELS, "plotly"},
    "profiling": {"betanas.spaces", "betanas.search", "betanas.analysis", *MODELS, "plotly"},
    "finding": {*MODELS, "plotly"},
    "export": {"betanas.spaces", "betanas.search", "betanas.analysis", *MODELS, "plotly"},
}

# A blueprint counts its own cost and builds its own network, and the package `search` is what a person calls
# (interface.md): imports inside those methods alone.
LAZY = {("blueprint", "betanas.cost"), ("blueprint", "betanas.models"), ("search", "betanas.calls")}

HEAVY = ["torch", *MODELS, "plotly", "pandas", "sklearn"]


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether it does so inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(child) for function in functions for child in ast.walk(function)}
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in inside
            yield from ((f"{node.module}.{alias.name}", id(node) in inside) for alias in node.names)


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or part_of(path) in ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    part = part_of(path)
    assert part in ORDER, f"{part} is not in the table of docs/architecture.md"
    for module, inside in imports(path):
        first, _, rest = module.partition(".")
        if first == "betanas" and rest:
            other = rest.split(".")[0]
            to_its_right = other in ORDER and ORDER.index(other) > ORDER.index(part)
            allowed = inside and (part, f"betanas.{other}") in LAZY
            assert not to_its_right or allowed, f"{part} imports {module}, which stands to its right"
        for forbidden in NEVER.get(part, ()):
            assert not f"{module}.".startswith(f"{forbidden}."), f"{part} must not import {module}"


def test_what_suggests_lives_in_the_strategies_alone() -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for module, _ in imports(path)
        if module.split(".")[0] in MODELS
    }
    assert users
    assert all(user.startswith("search/propose/") for user in users), users


def loaded_after(code: str, *modules: str) -> set[str]:
    looked_for = modules or HEAVY
    script = f"import sys\n{code}\nprint('LOADED', *(m for m in {looked_for!r} if m in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(answer.stdout.split("LOADED")[1].split())


def test_import_betanas_is_light() -> None:
    assert loaded_after("import betanas") == set()


def test_help_is_light() -> None:
    code = "from betanas.cli.main import run\nrun(['--help'])\nrun(['search', '--help'])"
    assert loaded_after(code, *HEAVY, "numpy", "scipy", "sqlalchemy", "PIL") == set()


def test_the_list_of_commands_loads_none_of_them() -> None:
    code = "from betanas.cli.main import run\nrun(['--help'])"
    homes = {f"betanas.cli.{module}" for module, _ in COMMANDS.values()}
    assert loaded_after(code, *homes, "betanas.search", "betanas.spaces") == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.name == name
    assert " ".join(command.help.split("\n\n")[0].split()) == COMMANDS[name][1]


def test_a_worker_loads_no_database() -> None:
    code = "import betanas.search.executors.runner, betanas.search.executors.worker"
    assert loaded_after(code, "sqlalchemy") == set()


def test_a_wrong_value_is_refused_before_anything_heavy_is_loaded() -> None:
    code = "from betanas.cli.main import run\nassert run(['search', '--data', 'digits', '--resolution', '48px']) == 2"
    assert loaded_after(code, *HEAVY, "scipy", "sqlalchemy") == set()


def test_opening_a_study_is_light(tmp_path: Path) -> None:
    study = bn.search(
        data="digits",
        study=str(tmp_path / "s"),
        resolution=16,
        budget="1steps",
        trials=1,
        strategy="sobol",
        executor="inline",
    )
    study.close()
    place = str(tmp_path / "s")
    code = f"from betanas.cli.main import run\nrun(['status', {place!r}])\nrun(['best', {place!r}])"
    assert loaded_after(code) & {"torch", *MODELS} == set()


def test_public_names_are_there() -> None:
    for name in bn.__all__:
        assert getattr(bn, name) is not None
    with pytest.raises(AttributeError):
        bn.nothing_of_the_sort  # noqa: B018
