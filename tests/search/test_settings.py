"""Settings are declared once: each keeps its bounds, says what is wrong with a value, and survives JSON and TOML."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace
from pathlib import Path

import pytest
from older_plans import flat_document

import betanas as bn
from betanas.cli.main import run
from betanas.cli.options import SEARCH
from betanas.declaration import Setting, settings_of
from betanas.errors import StudyError, UserError
from betanas.search.objectives import Compound
from betanas.search.records import StudyPlan
from betanas.search.settings import GROUPS, OBJECTIVE_SETTINGS, SETTINGS, ResumeSettings, SearchSettings
from betanas.training.budget import Budget

# What no setting of a kind takes, by what the help shows in a value's place.
WRONG = {
    "NUMBER": ["", "wide", "48px", "-1", "nan", "inf", "1e400", str(10**22), "0"],
    "COUNT": ["", "lots", "-5", "0", "5GiB", "9" * 30],
    "SIZE": ["", "20", "-1GiB", "0B", "much", "9" * 30 + "B"],
    "BUDGET": ["", "soon", "0s", "-1s", "10", "1.5steps", "9" * 30 + "h"],
    "TIME": ["", "later", "0m", "5epochs", "30"],
    "SIDE:COUNT": ["", "384", "384:", ":50M", "4:50M", "384:lots"],
    "NAME=VALUE": ["", "k", "=2", "k=", "k=two"],
}
MAY_BE_ZERO = {"seed", "teacher_share"}
TYPED = [each for each in SEARCH if each.flag and each.kind.metavar]


def wrong_values(declared: Setting) -> list[str]:
    values = WRONG.get(declared.kind.metavar, ["", "no such choice"] if declared.kind.choices else [""])
    return [value for value in values if not (value == "0" and declared.name in MAY_BE_ZERO)]


@pytest.mark.parametrize("declared", TYPED, ids=lambda each: each.flag)
def test_a_wrong_value_gets_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str], declared: Setting) -> None:
    common = {"--data": "digits", "--study": str(tmp_path / "study")}
    common.pop(declared.flag, None)
    if declared in OBJECTIVE_SETTINGS:
        common["--objective"] = "scaling" if declared.name == "scaling_resolution" else "compound"
    arguments = [word for pair in common.items() for word in pair]
    for value in wrong_values(declared):
        assert run(["search", *arguments, declared.flag, value]) == 2, value
        printed = capsys.readouterr()
        assert printed.err.startswith("betanas: "), value
        assert printed.err.count("\n") == 1
        assert printed.out == ""
        if declared.panel != "What to maximise":  # those depend on each other, and say so
            assert f"{declared.flag} must be {declared.kind.rule}. Got {value!r}." in printed.err
            assert f"Type, for example, {declared.flag} {declared.kind.example}." in printed.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", sorted(set(SETTINGS) - {one.name for one in OBJECTIVE_SETTINGS} - {"strategy_options"})
)
@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", float("nan"), [[]], {"": object()}],
    ids=["object", "bytes", "nan", "nested list", "mapping"],
)
def test_nothing_else_is_taken_from_python_or_a_file(name: str, value: object) -> None:
    with pytest.raises(UserError) as caught:
        SearchSettings(**{"data": "digits", "study": "runs/first", name: value})
    assert caught.value.rule


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.__name__)
def test_defaults_keep_their_own_rules(group: type) -> None:
    for declared in settings_of(group).values():
        if declared.default is not MISSING and declared.default is not None:
            assert declared.read(declared.default) == declared.default
            assert declared.read(json.loads(json.dumps(declared.kind.write(declared.default)))) == declared.default


def test_every_setting_has_a_name_of_its_own() -> None:
    declared = [one for group in GROUPS.values() for one in settings_of(group).values()]
    assert len({one.name for one in declared}) == len(declared)
    assert len({one.flag for one in declared if one.flag}) == sum(bool(one.flag) for one in declared)
    for group in GROUPS.values():
        assert [spec.name for spec in fields(group)] == list(settings_of(group)), "a field without a declaration"


def test_text_and_values_give_the_same_settings(tmp_path: Path) -> None:
    typed = SearchSettings(
        data="digits",
        study="runs/first",
        budget="5m",
        trials="20",
        max_params="30M",
        max_memory="20GiB",
        lookahead=["384:50M"],
        ranges=["k=2:4"],
        fixed=["B=0.3"],
        devices="cuda:0, cuda:1",
        trial_resources=["H100=1"],
        time="30m",
        objective="compound",
        cost="params",
        cost_target="5M",
    )
    given = SearchSettings(
        data=Path("digits"),
        study=Path("runs/first"),
        budget=Budget(300, "seconds"),
        trials=20,
        max_params=30_000_000,
        max_memory=20 * 2**30,
        lookahead=((384, 50_000_000),),
        ranges={"k": (2, 4)},
        fixed={"B": 0.3},
        devices=("cuda:0", "cuda:1"),
        trial_resources={"H100": 1},
        time=Budget(1800, "seconds"),
        objective=Compound("params", 5e6),
    )
    assert typed == given
    assert typed.training.budget == Budget(300, "seconds")


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(StudyError, match="Did you mean resolution"):
        SearchSettings(data="digits", study="s", resolutoin=32)
    with pytest.raises(StudyError, match="no such setting"):
        ResumeSettings(budget="5s")


class TestPlans:
    def test_survive_json(self, plan: StudyPlan) -> None:
        changed = plan.changed(
            budget="1.25s",
            lookahead=["384:50M"],
            objective={"kind": "compound", "cost": "macs", "target": 3e8},
            trial_resources={"H100": 1.0},
            time="30m",
            plugins=["a.py"],
            flip=False,
        )
        document = json.loads(json.dumps(changed.to_document()))
        assert document["training"]["budget"] == "1.25s"
        assert StudyPlan.from_document(document) == changed

    def test_of_earlier_schemas_are_read(self, plan: StudyPlan) -> None:
        assert StudyPlan.from_document(json.loads(json.dumps(flat_document(plan)))) == plan

    def test_changes_are_checked(self, plan: StudyPlan) -> None:
        with pytest.raises(UserError, match="--workers must be a whole number"):
            plan.changed(workers=0)
        with pytest.raises(UserError, match="--resolution must be"):
            replace(plan.data, resolution=0)


def test_bn_search_refuses_like_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--batch-size must be a whole number from 1"):
        bn.search(data="digits", study=tmp_path / "study", batch_size=0)
    assert list(tmp_path.iterdir()) == []
