from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import betanas as bn
from betanas.analysis.tables.scaling import parse_scaling
from betanas.cli.scale import scale
from betanas.errors import BetanasError, UserError
from betanas.spaces import published

FAST = ("--up-to", "512")


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(scale)

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "160"})
        if isinstance(result.exception, BetanasError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scaled") / "s"
    bn.search(
        data="digits",
        study=str(place),
        resolution=16,
        budget="1steps",
        trials=1,
        strategy="sobol",
        executor="inline",
    ).close()
    return place


@pytest.mark.parametrize(
    ("option", "target", "measure", "limit"),
    [
        ("--to-params", "20M", "params", 20_000_000),
        ("--to-macs", "2G", "macs", 2_000_000_000),
        ("--to-memory", "5GiB", "memory", 5 * 2**30),
    ],
)
def test_a_target_is_solved_for(run, option: str, target: str, measure: str, limit: int) -> None:
    answer = json.loads(run("betanet3", option, target, *FAST, "--json"))
    solution, reached = answer["solution"], answer["reached"]
    assert solution["ending"] == "reached"
    assert reached["resolution"] == solution["resolution"]
    assert reached[measure] == solution["cost"] <= limit < solution["next_cost"]
    for equal in ("params", "macs"):
        rows = answer["equal"][equal]
        assert [row["rule"] for row in rows] == ["self-similar", "growing-k", "slow-width", "compound"]
        assert all(row[equal] <= reached[equal] for row in rows)
    parse_scaling(answer["curve"])


def test_a_resolution_is_scaled_to_and_printed(run) -> None:
    text = run("betanet2", "--to-resolution", "384", *FAST)
    assert "30.01M parameters" in text
    assert "At equal MACs" in text
    assert "slow-width" in text


def test_what_is_not_reachable_is_said(run) -> None:
    assert "not reachable" in run("betanet3", "--to-params", "1k", *FAST)
    assert "--up-to looks further" in run("betanet3", "--to-params", "900M", *FAST)
    answer = json.loads(run("betanet3", "--to-params", "1k", *FAST, "--json"))
    assert (answer["reached"], answer["equal"], answer["solution"]["ending"]) == (None, {}, "unreachable")


def test_a_vectors_file_finds_its_space(run, tmp_path: Path) -> None:
    file = tmp_path / "vector.json"
    file.write_text(json.dumps({"vector": published("betanet2")}), encoding="utf-8")
    answer = json.loads(run(file, "--to-resolution", "224", *FAST, "--json"))
    assert answer["reached"]["params"] == 8_861_669
    named = json.loads(run(file, "--space", "betanet2", "--rule", "compound", *FAST, "--json"))
    assert (named["rule"], named["reached"]["resolution"]) == ("compound", 448)


def test_a_study_is_scaled_from_its_own_images_and_keeps_the_curves(run, study: Path) -> None:
    answer = json.loads(run(study, "--up-to", "128", "--keep", "--json"))
    assert (answer["from_resolution"], answer["reached"]["resolution"]) == (16, 32)
    assert (answer["blueprint"]["num_classes"], answer["blueprint"]["in_channels"]) == (10, 1)
    with bn.Study.open(str(study)) as opened:
        (kept,) = opened.attachments("scaling")
    assert kept.document == answer["curve"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["betanet9"], "betanet9.*betanet3"),
        (["betanet3", "--to-params", "1M", "--to-macs", "1G"], "one target"),
        (["betanet3", "--to-params", "lots"], "lots.*30M"),
        (["betanet3", "--to-macs", "0"], "positive"),
        (["betanet3", "--to-memory", "20"], "20GiB"),
        (["betanet3", "--to-resolution", "3"], "from 8 to"),
        (["betanet3", "--up-to", "9000"], "from 8 to"),
        (["betanet3", "--from-resolution", "2"], "from 8 to"),
        (["betanet3", "--rule", "fractal"], "rules are self-similar.*fractal"),
        (["betanet3", "--gamma", "1"], "gamma"),
        (["betanet3", "--dtype", "int1"], "data type"),
        (["betanet3", "--keep"], "Leave --keep out"),
        (["."], "study"),
    ],
)
def test_wrong_input_is_refused_in_one_message(run, tmp_path, monkeypatch, arguments: list[str], says: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says) as caught:
        run(*arguments)
    assert caught.value.exit_code == 2


def test_wrong_vectors_are_refused(run, tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    for text, says in (("{", "readable JSON"), ("[]", "JSON object"), ('{"x": 1}', "--space")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=says):
            run(file)


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys, typer\nfrom betanas.cli.scale import scale\napp = typer.Typer()\napp.command()(scale)\n"
        "app(['betanet3', '--up-to', '128', '--to-params', '300k', '--json'], standalone_mode=False)\n"
        "assert not {'torch', 'ax', 'plotly', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
