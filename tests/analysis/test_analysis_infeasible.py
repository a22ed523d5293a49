from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from betanas.analysis.errors import MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.infeasible import best_split, infeasible_patterns


def test_a_clean_split_is_found_between_the_values() -> None:
    values = np.array([5.0, 1, 2, 6, 3])
    assert best_split(values, values > 4) == (4.0, True, 1.0)
    assert best_split(values, values < 4) == (4.0, False, 1.0)


def test_a_constant_parameter_separates_nothing() -> None:
    assert best_split(np.ones(4), np.array([True, False, True, False]))[2] == 0.0


def test_a_rule_of_the_study_comes_first_with_its_shares(snapshot: StudySnapshot) -> None:
    trials = tuple(
        replace(t, state="infeasible" if t.vector["G0"] > 3 else "completed", objective=0.3, top1=0.3)
        for t in snapshot.trials
    )
    first = infeasible_patterns(replace(snapshot, trials=trials)).rows[0]
    assert (first.parameter, first.above, first.separation) == ("G0", True, 1.0)
    assert first.bound == pytest.approx(3, abs=0.1)
    assert (first.infeasible_beyond, first.infeasible_before) == (1.0, 0.0)


def test_fixed_parameters_and_failures_are_left_out(snapshot: StudySnapshot) -> None:
    plan = snapshot.plan.changed(ranges={**snapshot.plan.search.ranges, "k": (2.0, 2.0)})
    table = infeasible_patterns(replace(snapshot, plan=plan))
    assert "k" not in table.column("parameter")
    separations = table.column("separation")
    assert separations == sorted(separations, reverse=True)


def test_it_needs_both_kinds(snapshot: StudySnapshot) -> None:
    only = tuple(t for t in snapshot.trials if t.state == "completed")
    with pytest.raises(MissingDataError, match="infeasible"):
        infeasible_patterns(replace(snapshot, trials=only))
