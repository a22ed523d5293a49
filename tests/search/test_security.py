"""What SECURITY.md promises, each promise by somebody who tries to break it."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest
import torch

import betanas as bn
from betanas.analysis.dashboard.access import check_opening
from betanas.analysis.errors import AnalysisError
from betanas.data import cache
from betanas.errors import BetanasError, BlueprintError, RecipeError, StoreError, StudyError
from betanas.export.samples import recorded_source
from betanas.export.sidecar import read_sidecar
from betanas.library.catalogue import WEIGHTS_FOLDER, library_networks
from betanas.search.progress import SearchListener
from betanas.search.records import TrialRecord
from betanas.search.settings import ResumeSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.search.studies.confirmation import confirm
from betanas.search.study import Study
from betanas.training.checkpoint import load_checkpoint, save_checkpoint
from betanas.training.files import file_in, write_json

SOURCE = Path(bn.__file__).parent


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.place,))


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """Where a stranger's code leaves a file when it is run."""
    return tmp_path / "ran"


@pytest.fixture
def code(tmp_path: Path, ran: Path) -> Path:
    """A stranger's code."""
    path = tmp_path / "stranger.py"
    path.write_text(f"import pathlib; pathlib.Path({str(ran)!r}).touch()")
    return path


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of our studies, with a trial."""
    place = tmp_path_factory.mktemp("searched") / "study"
    bn.search(
        data="digits",
        study=str(place),
        resolution=16,
        budget="1steps",
        trials=1,
        strategy="sobol",
        executor="inline",
        max_params=200_000,
    ).close()
    return place


@pytest.fixture
def make_study(searched: Path, tmp_path: Path) -> Callable[..., Path]:
    """A stranger's study: one of ours with something changed in its plan."""
    place = tmp_path / "study"
    shutil.copytree(searched, place)

    def make(**plan: object) -> Path:
        with sqlite3.connect(place / "study.sqlite") as database:
            (text,) = database.execute("SELECT plan FROM studies").fetchone()
            stored = json.loads(text)
            for name, value in plan.items():
                machine = ("executor", "address", "data_root", "workers")
                group = "data" if name == "data" else "machine" if name in machine else "search"
                stored[group]["source" if name == "data" else name] = value
            database.execute("UPDATE studies SET plan = ?, trials_planned = 2", (json.dumps(stored),))
        database.close()
        return place

    return make


# A study runs nobody's code -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["space", "data", "strategy", "objective", "plugins", "executor"])
def test_a_study_that_names_code_is_not_gone_on_with(
    make_study: Callable[..., Path], code: Path, ran: Path, field: str
) -> None:
    # The compiled file and the name with a slash are run by Python and opened by pathlib like the plain one.
    compiled = code.with_suffix(".pyc")
    subprocess.run(
        [sys.executable, "-c", f"import py_compile; py_compile.compile({str(code)!r}, cfile={str(compiled)!r})"],
        check=True,
    )
    for name in (str(code), f"{code}/", *([str(compiled)] if field == "plugins" else [])):
        named = {"plugins": [name], "objective": {"kind": "function", "file": name}}.get(field, name)
        study = make_study(**{field: named})
        with pytest.raises(StudyError, match="--trust-files"):
            bn.resume(study)
        with pytest.raises(StudyError, match="--trust-files"), Study.open(study) as opened:
            opened.best("model")
        with pytest.raises(StudyError, match="--trust-files"):
            confirm(study)
    assert not ran.exists()


def leaves(document: object, place: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Where each value of a JSON document stands; of a list, its first."""
    inner: Iterable[tuple[object, object]] = ()
    if isinstance(document, dict):
        inner = document.items()
    elif isinstance(document, list):
        inner = enumerate(document[:1])
    found = [leaf for key, value in inner for leaf in leaves(value, (*place, key))]
    yield from found or [place]


def with_value(document: dict[str, Any], place: tuple[object, ...], value: object) -> dict[str, Any]:
    """A copy of a JSON document with something else in a place."""
    changed: Any = json.loads(json.dumps(document))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return cast("dict[str, Any]", changed)


def test_no_field_of_a_plan_runs_connects_or_writes(
    make_study: Callable[..., Path], code: Path, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every field in turn names a Python file, the address of something that listens, and a folder."""
    study = make_study(executor="ray")
    with closing(sqlite3.connect(study / "study.sqlite")) as database:
        plan = json.loads(database.execute("SELECT plan FROM studies").fetchone()[0])
    monkeypatch.setattr("betanas.search.studies.conduct.make_executor", not_reached)
    reached = set()
    with socket.create_server(("127.0.0.1", 0)) as ear:
        ear.setblocking(False)
        address = f"127.0.0.1:{ear.getsockname()[1]}"
        for place in leaves(plan):
            for value in (f"{code}/", address, str(tmp_path / "elsewhere")):
                with closing(sqlite3.connect(study / "study.sqlite")) as database, database:
                    database.execute("UPDATE studies SET plan = ?", (json.dumps(with_value(plan, place, value)),))
                try:
                    bn.resume(study)
                except NotReached:
                    reached.add((place[0], value))
                except BetanasError:
                    pass
                assert not ran.exists(), place
                assert not (tmp_path / "elsewhere").exists(), place
                with pytest.raises(BlockingIOError):
                    ear.accept()
    assert {place for place, value in reached if value == f"{code}/"} == {"classes"}, "a label is only shown"


class NotReached(Exception):
    """A search would begin to train."""


def not_reached(*_: object) -> None:
    raise NotReached


@pytest.mark.parametrize(
    ("option", "value", "typed"),
    [("address", "10.0.0.1:6379", {"address": "10.0.0.1:6379"}), ("workers", 1000, {"workers": 2})],
)
def test_a_machines_business_is_asked_for_again(
    make_study: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    value: object,
    typed: dict[str, Any],
) -> None:
    """What a study says of a cluster is not taken on its word; typed again, or with trust, it is."""
    study = make_study(executor="ray", **{option: value})
    monkeypatch.setattr("betanas.search.studies.conduct.make_executor", not_reached)
    with pytest.raises(StudyError, match=f"--{option}"):
        bn.resume(study)
    with pytest.raises(StudyError, match="--trust-files"):
        confirm(study)
    for changes in (ResumeSettings(**typed), ResumeSettings(trust_files=True)):
        with pytest.raises(NotReached):
            bn.resume(study, changes)


def test_a_study_downloads_nothing_into_a_folder_of_its_own_choice(
    make_study: Callable[..., Path], tmp_path: Path
) -> None:
    study = make_study(data="cifar10", data_root=str(tmp_path / "elsewhere"))
    with pytest.raises(StudyError, match="--data-root"):
        bn.resume(study)
    assert not (tmp_path / "elsewhere").exists()


def test_no_field_of_a_training_runs_code(
    tmp_path: Path, code: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command that reads what a training has left, with every field of its description in turn."""
    from betanas.cli.main import run

    monkeypatch.chdir(tmp_path)
    blueprint = tmp_path / "small.json"
    vector = bn.published("betanet3") | {"G0": 1.0, "G1": 1.0}
    small = bn.get_space("betanet3").blueprint(vector, resolution=16, num_classes=10, in_channels=1)
    blueprint.write_text(small.to_json())
    arguments = ["train", str(blueprint), "--data", "digits", "--folder", "training", "--resolution", "16"]
    arguments += ["--budget", "1steps", "--device", "cpu"]
    assert run(arguments) == 0
    sidecar, plan = (tmp_path / "training" / name for name in ("network.json", "plan.json"))
    document = json.loads(sidecar.read_text())
    for place in leaves(document):
        sidecar.write_text(json.dumps(with_value(document, place, f"{code}/")))
        with suppress(BetanasError):
            recorded_source(read_sidecar(sidecar), sidecar.parent)
        assert not ran.exists(), place
    sidecar.write_text(json.dumps(document))
    kept = json.loads(plan.read_text())
    plan.write_text(json.dumps(with_value(kept, ("data", "source"), f"{code}/")))
    assert run(arguments) == 2, "the folder holds a training on other images"
    assert not ran.exists()
    described = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(described | {"data": {"source": f"{code}/", "fingerprint": "a"}}))
    export = ["export", "training", "--format", "safetensors", "--to"]
    assert run([*export, "model"]) == 0
    run(["predict", "training", "photo.png"])
    assert not ran.exists()
    assert run([*export, "trusted", "--trust-files"]) == 0
    assert ran.exists(), "with trust it is run"


def test_a_librarys_file_names_no_code(tmp_path: Path, code: Path, ran: Path) -> None:
    weights = next(WEIGHTS_FOLDER.glob("*.json"))
    document = json.loads(weights.read_text())
    (tmp_path / weights.name).write_text(json.dumps(document | {"space": f"{code}/"}))
    with pytest.raises(StudyError, match="run Python files"):
        library_networks(tmp_path)
    assert not ran.exists()


def test_a_study_that_names_code_can_be_looked_at(make_study: Callable[..., Path], code: Path, ran: Path) -> None:
    from betanas.cli.main import run

    study = make_study(space=str(code), plugins=[str(code)])
    assert run(["status", str(study)]) == 0
    assert run(["best", str(study)]) == 0
    assert run(["report", str(study), "--output", str(study / "report.html")]) == 0
    assert not ran.exists()


def test_a_search_in_a_strangers_folder_imports_nothing_from_there(tmp_path: Path, ran: Path) -> None:
    for name in ("torch", "numpy", "betanas", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"import pathlib; pathlib.Path({str(ran)!r}).touch()")
    command = [Path(sys.executable).with_name("betanas"), "search", "--data", "digits", "--study", "study"]
    command += ["--resolution", "16", "--budget", "1steps", "--trials", "1", "--strategy", "sobol", "--devices", "cpu"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONPATH"] = str(SOURCE.parent)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not ran.exists()


def test_a_damaged_plan_is_refused(make_study: Callable[..., Path]) -> None:
    with pytest.raises(StudyError, match="plan is damaged"):
        bn.resume(make_study(ranges="everything"))


# A study writes nowhere else -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["search.lock", "logs", "study.sqlite-wal", "study.sqlite"])
def test_links_out_of_a_study_are_not_written_through(
    make_study: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    study = make_study()
    precious = tmp_path / "precious"
    link = study / name
    if name == "study.sqlite":
        link.rename(precious)
    elif name == "logs":
        precious.mkdir()
    else:
        precious.write_text("mine")
    link.unlink(missing_ok=True)
    link.symlink_to(precious)
    before = precious.read_bytes() if precious.is_file() else list(precious.iterdir())
    with pytest.raises((StudyError, StoreError), match=r"is a link|cannot be written"):
        bn.resume(study)
    assert (precious.read_bytes() if precious.is_file() else list(precious.iterdir())) == before


def test_a_log_is_not_written_through_a_link(make_study: Callable[..., Path], tmp_path: Path) -> None:
    study, precious = make_study(), tmp_path / "precious"
    precious.write_text("mine")
    (study / "logs").mkdir(exist_ok=True)
    (study / "logs" / "trial-00001.log").symlink_to(precious)
    with bn.resume(study, ResumeSettings(executor="local", devices=("cpu",))) as resumed:
        assert resumed.trial(1).state == "completed", "a log is not worth a trial"
    assert precious.read_text() == "mine"


def test_a_strangers_database_is_not_trusted(make_study: Callable[..., Path]) -> None:
    for read_only in (True, False):
        store = Store.open(StudyLocation.parse(make_study()), read_only=read_only)
        with store._engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA trusted_schema").scalar() == 0
        store.close()


# Weights are numbers --------------------------------------------------------------------------------------------------


def test_a_pickle_in_a_checkpoints_place_is_not_read(tmp_path: Path, ran: Path) -> None:
    save_checkpoint(tmp_path, {"weights": torch.zeros(3)}, step=1, notes={})
    (tensors,) = tmp_path.glob("*.safetensors")
    torch.save({"weights": Trap(ran)}, tensors)
    with pytest.raises(RecipeError, match="must be whole"):
        load_checkpoint(tmp_path)
    tensors.write_bytes(pickle.dumps(Trap(ran)))
    with pytest.raises(RecipeError, match="must be whole"):
        load_checkpoint(tmp_path)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["../elsewhere.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", 3, None])
def test_a_checkpoint_names_files_of_its_own_folder_alone(tmp_path: Path, name: object) -> None:
    with pytest.raises(RecipeError, match="own folder"):
        file_in(tmp_path, name)
    write_json(tmp_path / "checkpoint.json", {"tensors": name, "state": {"$items": []}, "notes": {}})
    with pytest.raises(RecipeError):
        load_checkpoint(tmp_path)


def test_a_pickle_in_the_cache_is_not_read(tmp_path: Path, ran: Path) -> None:
    entry = tmp_path / "entry"
    entry.mkdir()
    for name in cache._ARRAYS:
        file = io.BytesIO()
        np.save(file, np.array([Trap(ran)], dtype=object), allow_pickle=True)
        (entry / f"{name}.npy").write_bytes(file.getvalue())
    (entry / cache._DESCRIPTION).write_text(json.dumps({"checksums": {}, "broken": []}))
    assert cache._read(entry, cache._ARRAYS) is None
    assert not ran.exists()


def test_a_blueprint_is_data(tmp_path: Path, ran: Path) -> None:
    file = tmp_path / "blueprint.json"
    file.write_bytes(pickle.dumps(Trap(ran)))
    with pytest.raises(BlueprintError):
        bn.Blueprint.load(file)
    assert not ran.exists()


def test_nothing_in_the_package_unpickles_or_evaluates() -> None:
    """Every way that Python has of turning a stranger's bytes or words into code, by name."""
    calls = {"eval", "exec", "compile", "__import__"}
    attributes = {
        *(("pickle", name) for name in ("load", "loads", "Unpickler")),
        ("torch", "load"),
        ("yaml", "load"),
        ("marshal", "loads"),
        ("os", "system"),
        ("tarfile", "extractall"),
        ("shutil", "unpack_archive"),
    }
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
                found += [f"{where} imports {name}" for name in names & {"pickle", "marshal", "shelve", "dill"}]
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            if isinstance(function, ast.Name) and function.id in calls:
                found.append(f"{where} {function.id}()")
            if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                called = (function.value.id, function.attr)
                safe = any(word.arg == "weights_only" and getattr(word.value, "value", 0) for word in node.keywords)
                if called in attributes and not safe:
                    found.append(f"{where} {'.'.join(called)}()")
            if any(word.arg == "shell" and getattr(word.value, "value", False) for word in node.keywords):
                found.append(f"{where} shell=True")
            if any(word.arg == "allow_pickle" and getattr(word.value, "value", False) for word in node.keywords):
                found.append(f"{where} allow_pickle=True")
    assert not found


# Servers --------------------------------------------------------------------------------------------------------------


def test_the_dashboard_opens_to_others_with_a_token_alone() -> None:
    check_opening("127.0.0.1", None)
    with pytest.raises(AnalysisError, match="must have a token"):
        check_opening("0.0.0.0", None)
    with pytest.raises(AnalysisError, match="at least 16"):
        check_opening("0.0.0.0", "short")


def test_a_search_listens_to_nobody(tmp_path: Path) -> None:
    """Not the search, not its workers: they talk through pipes."""

    class Ear(SearchListener):
        def __init__(self) -> None:
            self.heard = 0
            self.listening: list[object] = []

        def on_trial_started(self, record: TrialRecord) -> None:
            for process in (me, *(each for each in me.children(recursive=True) if each not in others)):
                self.heard += 1
                self.listening += [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]

    me, ear = psutil.Process(), Ear()
    others = me.children(recursive=True)  # servers that other tests of this process have started
    before = [c for c in me.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    bn.search(
        data="digits",
        study=str(tmp_path / "study"),
        resolution=16,
        budget="1steps",
        trials=1,
        strategy="sobol",
        devices=("cpu",),
        listener=ear,
    ).close()
    assert ear.heard >= 2
    assert [c for c in ear.listening if c not in before] == []


def test_messages_say_no_password() -> None:
    with pytest.raises(BetanasError) as refused:
        StudyLocation.parse("postgresql://me:secret@host/database")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@host/db?study=a", "postgresql://me@host:5432/db?password=secret&study=a"]
)
def test_no_password_is_kept_or_shown(
    make_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Neither in the command line that a report shows, nor in one that was stored before it was hidden."""
    assert "secret" not in StudyLocation.parse(url).text
    study = make_study()
    monkeypatch.setattr(sys, "argv", ["betanas", "resume", url, f"--study={url}"])
    bn.resume(study).close()
    with sqlite3.connect(study / "study.sqlite") as database:
        commands = [command for (command,) in database.execute("SELECT command FROM sessions ORDER BY number")]
        assert "***" in commands[1]
        assert "secret" not in commands[1]
        database.execute("UPDATE sessions SET command = ? WHERE number = 0", (f"betanas search --study {url}",))
    database.close()
    with Study.open(study) as opened:
        assert all("secret" not in session.command for session in opened.sessions())
