from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from betanas.training.comparison import Comparison, Entrant, estimate
from betanas.training.engine import TrialEngine


@pytest.fixture(scope="module")
def engine(digits, quick) -> TrialEngine:
    return TrialEngine(digits, resolution=8, recipe=quick, device="cpu")


def entrant(blueprint, name: str = "small") -> Entrant:
    return Entrant(name, blueprint.to_dict(), blueprint.build, blueprint.num_params, blueprint.macs)


def compare(comparison, entrants, engine, digits, *, seeds=(0, 1), budget="14steps", **settings):
    return list(
        comparison.run(
            entrants,
            engine=engine,
            data={"source": "digits", "fingerprint": ""},
            budget=budget,
            seeds=seeds,
            test=digits.validation,
            **settings,
        )
    )


@pytest.mark.parametrize(
    ("values", "mean", "margin"),
    [
        ([], None, None),
        ([0.5], 0.5, None),
        # Quantiles of Student's t for 1 and 4 degrees of freedom: 12.706 and 2.776.
        ([1.0, 3.0], 2.0, 12.706),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 3.0, 2.776 * 1.5811 / 5**0.5),
    ],
)
def test_intervals_by_hand(values, mean, margin):
    found = estimate(values)
    if mean is None:
        assert found is None
        return
    assert found.mean == pytest.approx(mean)
    assert found.n == len(values)
    assert found.margin == (None if margin is None else pytest.approx(margin, rel=1e-3))


def test_networks_side_by_side(engine, digits, blueprint, wider, tmp_path):
    comparison = Comparison(tmp_path)
    shown = []
    entrants = [entrant(blueprint), entrant(wider(4), "narrow")]
    entries = compare(
        comparison,
        entrants,
        engine,
        digits,
        on_point=lambda who, seed, point: shown.append((who.name, seed, point.step)),
    )
    assert [(e.name, e.seed, e.outcome) for e in entries] == [
        ("small", 0, "completed"),
        ("narrow", 0, "completed"),
        ("small", 1, "completed"),
        ("narrow", 1, "completed"),
    ]
    assert shown[:3] == [("small", 0, 7), ("small", 0, 14), ("narrow", 0, 7)]
    rows = comparison.table()
    assert {row.name for row in rows} == {"small", "narrow"}
    assert rows[0].top1.mean >= rows[1].top1.mean
    for row in rows:
        own = [e.result.test_top1 for e in entries if e.name == row.name]
        assert row.top1 == estimate(own)
        assert row.images_per_second.mean > 0
        assert row.peak_memory > 0
        assert row.failed == 0
    assert [len(history.curve) for history in comparison.histories()] == [2] * 4
    document = json.loads(json.dumps(comparison.to_dict()))
    assert len(document["table"]) == 2
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["results.jsonl"]


def test_a_comparison_is_resumed_and_extended(engine, digits, blueprint, tmp_path):
    built = []

    def build() -> nn.Module:
        built.append(1)
        return blueprint.build()

    counting = Entrant("small", blueprint.to_dict(), build, blueprint.num_params, blueprint.macs)
    first = compare(Comparison(tmp_path), [counting], engine, digits, seeds=[0])
    again = compare(Comparison(tmp_path), [counting], engine, digits, seeds=[0, 1])
    assert len(built) == 2
    assert again[0] == first[0]
    compare(Comparison(tmp_path), [counting], engine, digits, seeds=[0], budget="7steps")
    assert len(built) == 3


def test_a_torn_last_line_costs_only_its_own_training(engine, digits, blueprint, tmp_path):
    entrants = [entrant(blueprint)]
    compare(Comparison(tmp_path), entrants, engine, digits)
    journal = tmp_path / "results.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-40])
    torn = Comparison(tmp_path)
    assert [entry.seed for entry in torn.entries] == [0]
    compare(torn, entrants, engine, digits)
    assert [entry.seed for entry in Comparison(tmp_path).entries] == [0, 1]


def test_a_network_that_fails_is_a_row_and_not_the_end(engine, digits, blueprint, tmp_path):
    class Wild(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, images):
            return images.flatten(1)[:, :10] * self.scale * float("nan")

    def huge() -> nn.Module:
        return nn.Linear(10**7, 10**7)

    entrants = [
        Entrant("wild", {"name": "wild"}, Wild, 1, 1),
        Entrant("huge", {"name": "huge"}, huge, 10**14, 10**14),
        entrant(blueprint),
    ]
    comparison = Comparison(tmp_path)
    entries = compare(comparison, entrants, engine, digits, seeds=[0])
    assert [(e.outcome, e.cause) for e in entries] == [
        ("failed", "non_finite"),
        ("infeasible", "out_of_memory"),
        ("completed", ""),
    ]
    rows = {row.name: row for row in comparison.table()}
    assert (rows["huge"].top1, rows["huge"].failed, rows["small"].failed) == (None, 1, 0)
    assert Comparison(tmp_path).entries == comparison.entries
