from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from betanas.errors import LimitError, StrategyError
from betanas.search.feasibility import LEAST_SHARE, Problem, survey
from betanas.search.settings import Limits
from betanas.spaces import get_space, published

TABLE1 = Problem(get_space("betanet3", "table1"), resolution=224, num_classes=100, in_channels=3, batch_size=100)


def with_limits(**limits: object) -> Problem:
    return replace(TABLE1, limits=Limits(**limits))


def published_rows(space: str) -> np.ndarray:
    return get_space(space, "report").to_array([published(space)])


def test_published_network_against_each_limit() -> None:
    # 5,110,124 parameters at 224 and 14,634,951 at 384 (betanet.md, section 5).
    row = published_rows("betanet3")
    for limits, fits in (
        (Limits(params=5_110_124), True),
        (Limits(params=5_110_123), False),
        (Limits(lookahead=((384, 14_634_951),)), True),
        (Limits(lookahead=((384, 14_634_950),)), False),
        (Limits(params=6_000_000, lookahead=((224, 6_000_000), (384, 14_000_000))), False),
        (Limits(), True),
    ):
        problem = replace(TABLE1, space=get_space("betanet3", "report"), limits=limits)
        assert problem.feasible(row).tolist() == [fits]
        assert all(bool(excluded[0]) is False for excluded in problem.excluded(row).values()) is fits


def test_macs_limit_is_exact() -> None:
    row = published_rows("betanet3")
    problem = replace(TABLE1, space=get_space("betanet3", "report"))
    macs = problem.blueprint(row[0]).macs
    assert replace(problem, limits=Limits(macs=macs)).feasible(row)[0]
    assert not replace(problem, limits=Limits(macs=macs - 1)).feasible(row)[0]


def test_demands_are_costs_over_limits_and_say_the_limit_in_words() -> None:
    row = published_rows("betanet3")
    problem = replace(
        TABLE1, space=get_space("betanet3", "report"), limits=Limits(params=10**7, lookahead=((384, 10**7),))
    )
    demands = problem.demands(row)
    assert list(demands) == ["at most 10.00M parameters", "at most 10.00M parameters at resolution 384"]
    assert demands["at most 10.00M parameters"][0] == pytest.approx(0.5110124)
    assert demands["at most 10.00M parameters at resolution 384"][0] == pytest.approx(1.4634951)


def test_a_survey_of_a_wide_space_asks_for_nothing() -> None:
    found = survey(with_limits(params=30_000_000))
    assert 0.8 < found.share < 0.9
    assert found.excluded["at most 30.00M parameters"] == pytest.approx(1 - found.share)
    assert found.advice == {}
    found.require()


def test_a_survey_names_the_limit_its_share_and_the_ranges_to_change() -> None:
    problem = with_limits(params=64_000)
    found = survey(problem)
    assert found.share < LEAST_SHARE
    with pytest.raises(LimitError) as caught:
        found.require()
    assert "at most 64.0k parameters excludes" in str(caught.value)
    assert "--range " in caught.value.hint
    # What is advised works as typed.
    narrowed = problem.space.replace(ranges={name: (new.low, new.high) for name, new in found.advice.items()})
    better = survey(replace(problem, space=narrowed), seed=1)
    assert better.share >= 10 * LEAST_SHARE
    assert better.share == pytest.approx(found.advised_share, abs=0.1)
    better.require()


def test_where_no_range_helps_the_limit_is_to_be_raised() -> None:
    with pytest.raises(LimitError, match=r"raise the limit .*the cheapest found needs .* times as much"):
        survey(with_limits(params=1000)).require()


def test_the_more_severe_of_two_limits_is_visible() -> None:
    found = survey(with_limits(params=3_000_000, lookahead=((384, 4_000_000),)))
    shares = list(found.excluded.values())
    assert shares[1] > shares[0] > 0.5


def test_a_survey_is_reproducible() -> None:
    assert survey(with_limits(params=64_000)) == survey(with_limits(params=64_000))


def test_a_space_without_free_parameters_is_refused() -> None:
    fixed = TABLE1.space.replace(fixed={name: searched.low for name, searched in TABLE1.space.parameters.items()})
    with pytest.raises(StrategyError, match="--range B=0:1"):
        survey(replace(TABLE1, space=fixed))
