from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.finding.choose import SPACE, choose, divide, leaders, strategy_options
from betanas.finding.look import Look
from betanas.finding.searching import chosen_settings, free_place
from betanas.search.propose import get_strategy
from betanas.spaces import available_spaces
from betanas.testing.strategies import small_problem

PHOTOS = Look("photos", ("a", "b"), (1000, 1000), 0, 0, (90, 100, 640), 3)


def test_the_space_is_there() -> None:
    assert SPACE in available_spaces()


def test_small_images_keep_their_size_and_large_ones_get_what_the_time_allows() -> None:
    tiny = replace(PHOTOS, sides=(8, 8, 8))
    assert choose(tiny, seconds=3600, accelerated=True).resolution == 16
    assert choose(replace(PHOTOS, sides=(28, 28, 28)), seconds=3600, accelerated=True).resolution == 28
    assert [choose(PHOTOS, seconds=time, accelerated=False).resolution for time in (60, 3600, 36000)] == [32, 48, 64]
    assert [choose(PHOTOS, seconds=time, accelerated=True).resolution for time in (60, 3600, 36000)] == [64, 96, 100]


def test_few_images_are_shown_in_small_batches() -> None:
    assert "batch_size" not in choose(PHOTOS, seconds=60, accelerated=False).settings()
    few = replace(PHOTOS, counts=(50, 60))
    assert choose(few, seconds=60, accelerated=False).settings()["batch_size"] == 32


@given(
    seconds=st.floats(5.0, 1e6),
    beside=st.floats(0.0, 60.0),
    workers=st.integers(1, 64),
    least=st.floats(0.01, 100.0),
)
def test_trials_fit_the_search(seconds: float, beside: float, workers: int, least: float) -> None:
    trials, budget = divide(seconds, beside=beside, workers=workers, least=least)
    assert budget >= least
    assert trials * (budget + beside) <= workers * seconds or trials == 1


@pytest.mark.parametrize("strategy", ["gpei", "multifidelity"])
@given(trials=st.integers(1, 100), beside=st.floats(0.0, 20.0), trial=st.floats(0.5, 60.0))
def test_a_model_guides_half_of_a_searchs_time(strategy: str, trials: int, beside: float, trial: float) -> None:
    asked = {"beside": beside, "trial": trial, "least": 0.1}
    options = strategy_options(strategy, trials=trials, parameters=15, **asked)
    usual = strategy_options(strategy, trials=10_000, parameters=15, **asked)
    assert "initial" not in usual
    if "initial" in options and options["initial"] > 4:
        first = options["initial"] * (options.get("first", 1.0) * trial + beside)
        whole = trial + beside
        assert first <= trials * whole / 2 + whole
    else:
        assert "initial" in options or trials > 2 * 5


def test_other_strategies_are_told_nothing() -> None:
    assert strategy_options("tpe", trials=10, parameters=15, beside=1.0, trial=10.0, least=1.0) == {}


def test_short_trainings_are_long_enough_to_teach_something() -> None:
    many = {"trials": 1000, "parameters": 15}
    usual = strategy_options("multifidelity", beside=1.0, trial=10.0, least=0.5, **many)
    assert usual == {"overhead": 0.1, "least": 0.125, "first": 0.25}
    short = strategy_options("multifidelity", beside=1.0, trial=2.0, least=0.8, **many)
    assert short == {"overhead": 0.5, "least": 0.4, "first": 0.4}
    assert strategy_options("multifidelity", beside=1.0, trial=2.0, least=2.0, **many)["least"] == 0.5
    small = small_problem()
    for options in (usual, short):
        assert get_strategy("multifidelity")(small, seed=0, options=options).least_share >= options["least"]


def test_more_time_means_more_and_longer_trials() -> None:
    divided = [divide(seconds, beside=1.0, workers=1) for seconds in (60, 600, 6000)]
    assert divided == sorted(divided)
    assert divided[0] == (10, 5.0)


@given(st.integers(0, 100))
def test_confirmed_leaders_fit_the_trainings(trainings: int) -> None:
    top, seeds = leaders(trainings)
    assert (top + 1) * seeds <= max(trainings, 2)
    assert seeds == 3 or trainings < 9


def test_a_search_of_which_only_the_images_were_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = chosen_settings({"data": "digits", "devices": "cpu"})
    assert chosen == {"study": "runs/digits", "space": SPACE, "resolution": 16, "budget": "42s", "time": "20m"}
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    assert free_place("digits") == "runs/digits-2"


def test_a_preset_is_that_of_the_usual_space() -> None:
    chosen = chosen_settings({"data": "digits", "study": "s", "preset": "table1", "devices": "cpu"})
    assert set(chosen) == {"resolution", "budget", "time"}


def test_what_was_typed_of_a_search_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert chosen_settings({"data": "nothing-here", "study": "s", "budget": "10s"}) == {}
    assert chosen_settings({"data": "nothing-here", "trials": 3}) == {"study": "runs/nothing-here"}
    typed = {"data": "digits", "study": "s", "space": "betanet2", "resolution": 24, "time": "2m", "devices": "cpu"}
    assert chosen_settings(typed) == {"budget": "7.2s"}
