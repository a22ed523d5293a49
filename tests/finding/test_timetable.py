from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.errors import StudyError
from betanas.finding.timetable import Pace, confirmed_by, evaluations, least_time, make_timetable, parts, rounded_up

PACE = Pace(step=0.02, steps_per_epoch=16, beside=1.0, worker=4.0, closing=12.0, macs=1)

paces = st.builds(
    Pace,
    step=st.floats(1e-3, 2.0),
    steps_per_epoch=st.floats(1.0, 1e4),
    beside=st.floats(0.1, 60.0),
    worker=st.floats(0.5, 30.0),
    closing=st.floats(1.0, 120.0),
    macs=st.just(1),
)


@given(
    pace=paces,
    start=st.floats(0.5, 300.0),
    more=st.floats(1.0, 100.0),
    workers=st.integers(1, 16),
    trial=st.none() | st.floats(1.0, 600.0),
)
def test_what_is_accepted_holds_every_part(
    pace: Pace, start: float, more: float, workers: int, trial: float | None
) -> None:
    total = more * (least_time(start, pace, workers=workers, trial=trial) + 1.0)
    table = make_timetable(total, start, pace, workers=workers, trial=trial)
    assert start + pace.worker < table.searched <= table.confirmed <= total
    assert table.confirmed + table.training + pace.closing == pytest.approx(total) or table.training == 0
    assert table.trial >= (pace.least_trial if trial is None else trial)
    assert table.trials >= 1
    assert table.top >= 1
    assert table.seeds >= 1
    assert table.least <= total


@given(pace=paces, start=st.floats(0.5, 300.0), workers=st.integers(1, 16))
def test_less_than_the_least_is_refused_with_what_is_enough(pace: Pace, start: float, workers: int) -> None:
    least = least_time(start, pace, workers=workers)
    with pytest.raises(StudyError, match="the time must be at least") as refused:
        make_timetable(0.99 * least, start, pace, workers=workers)
    assert "--time" in refused.value.hint
    assert make_timetable(rounded_up(least), start, pace, workers=workers).least == least


def test_the_least_time_follows_from_the_images() -> None:
    few = least_time(5.0, PACE, workers=1)
    many = least_time(5.0, Pace(0.05, 450, 1.0, 4.0, 12.0, 1), workers=1)
    assert few == 5 + 8 + 8 * (1.0 + 1.0) + 2 * 1.0 + 12
    assert many == 5 + 8 + 8 * (450 * 0.05 / 8 + 1.0) + 2 * 450 * 0.05 / 8 + 12


@given(pace=paces, start=st.floats(0.5, 300.0), more=st.floats(1.0, 20.0), closing=st.floats(0.0, 1e4))
def test_a_confirmation_gives_way_to_the_winners_training(
    pace: Pace, start: float, more: float, closing: float
) -> None:
    table = make_timetable(more * (least_time(start, pace, workers=1) + 1.0), start, pace, workers=1)
    ends = confirmed_by(table, closing)
    assert ends <= table.confirmed
    assert table.total - ends - closing >= 2 * table.trial - 1e-6


def test_where_images_are_seen_a_few_times_the_winner_has_most_of_the_time() -> None:
    assert parts(0.1) == parts(4.0) == (0.25, 0.08)
    assert parts(64.0) == parts(1e6) == (0.5, 0.2)
    assert parts(4.0) < parts(16.0) < parts(64.0)
    table = make_timetable(180.0, 10.0, Pace(0.056, 540, 0.6, 4.0, 30.0, 1), workers=1)
    assert table.training > 0.6 * (180 - 10 - 8 - 30)
    assert table.trials >= 6


def test_networks_are_limited_by_what_a_trial_can_show_of_them() -> None:
    pace = Pace(0.05, 100, 1.0, 4.0, 12.0, 1_000_000)
    assert pace.most_macs(2.5) == 8_000_000
    assert pace.most_macs(50.0) == 10_000_000


def test_what_was_typed_stays() -> None:
    table = make_timetable(600.0, 5.0, PACE, workers=1, trial=7.0, top=4, seeds=2)
    assert (table.trial, table.top, table.seeds) == (7.0, 4, 2)


def test_an_hour_has_an_interval_and_leaves_the_winner_its_time() -> None:
    table = make_timetable(3600.0, 10.0, PACE, workers=1)
    assert table.seeds == 3
    assert table.training > 10 * table.trial
    assert 30 <= table.trials <= 60


def test_an_accelerator_more_means_more_trials_in_the_same_time() -> None:
    one, four = (make_timetable(600.0, 10.0, PACE, workers=workers) for workers in (1, 4))
    assert four.searched == pytest.approx(one.searched)
    assert four.trials * four.trial > 3 * one.trials * one.trial


def test_the_winner_is_judged_about_once_a_minute_for_little_of_the_time() -> None:
    assert evaluations(20.0, one=0.01) == 6
    assert evaluations(1800.0, one=0.1) == 30
    assert evaluations(1800.0, one=4.0) == 9
    assert evaluations(1e6, one=0.1) == 60
    assert evaluations(1e6, one=0.0) == 60
    assert evaluations(90.0, one=2.5) == 1
    assert evaluations(150.0, one=2.5) == 3
