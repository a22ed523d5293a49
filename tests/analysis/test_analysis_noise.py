from __future__ import annotations

from dataclasses import replace

import pytest

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.noise import noise


def test_the_pooled_deviation_by_hand(snapshot: StudySnapshot) -> None:
    first = snapshot.best

    def trial(index: int, key: str, value: float, **changes):
        return replace(first, index=index, blueprint_key=key, objective=value, top1=value, **changes)

    trials = (
        trial(0, "a", 0.50),
        trial(1, "a", 0.52),
        trial(2, "b", 0.30),
        trial(3, "b", 0.33),
        trial(4, "b", 0.36),
        trial(5, "c", 0.9),
        trial(6, "a", 0.50, repeat_of=0),
        trial(7, "c", 0.1, state="stopped"),
    )
    made = noise(replace(snapshot, trials=trials))
    assert [row.trials for row in made.repeats] == [(0, 1), (2, 3, 4)]
    assert made.degrees == 3
    # (0.01^2 * 2 + 0.03^2 * 2) / 3
    assert made.pooled == pytest.approx((0.002 / 3) ** 0.5)
    assert made.repeats.rows[1].spread == pytest.approx(0.06)
    assert made.repeats.to_rows()[0]["trials"] == "0 1"


def test_no_repeats_no_noise(empty_snapshot: StudySnapshot) -> None:
    made = noise(empty_snapshot)
    assert (made.pooled, made.degrees, made.repeats.rows) == (None, 0, ())
