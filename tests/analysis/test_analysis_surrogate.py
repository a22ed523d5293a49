from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.surrogate import importance, model_best, parse_surrogate, surrogate_of


def document_of(snapshot: StudySnapshot) -> dict:
    return copy.deepcopy(dict(snapshot.attachment("surrogate").document))


def test_a_surrogate_survives_the_store(snapshot: StudySnapshot) -> None:
    document = document_of(snapshot)
    read = parse_surrogate(json.loads(json.dumps(document)))
    assert read.to_dict() == parse_surrogate(document).to_dict() == json.loads(json.dumps(document))


def test_a_surrogate_of_parameters_alone_has_no_features(snapshot: StudySnapshot) -> None:
    document = document_of(snapshot)
    del document["features"]  # as studies were kept before the model saw networks
    assert parse_surrogate(document).features == ()


def test_importance_is_the_surrogates_and_sorted(snapshot: StudySnapshot) -> None:
    table = importance(snapshot)
    values = table.column("importance")
    assert values == sorted(values, reverse=True)
    told = {entry.name: entry for entry in surrogate_of(snapshot).parameters}
    for row in table:
        assert (row.importance, row.relevance) == (told[row.parameter].importance, told[row.parameter].relevance)


def test_without_a_surrogate_correlation_decides(snapshot: StudySnapshot) -> None:
    trials = tuple(replace(t, objective=t.objective and t.vector["B"] ** 3, curve=()) for t in snapshot.trials)
    bare = replace(snapshot, trials=trials, attachments=())
    first = importance(bare).rows[0]
    assert (first.parameter, first.importance) == ("B", None)
    assert first.rank_correlation == pytest.approx(1.0)
    assert model_best(bare) is None


def test_rank_correlation_agrees_with_scipy(snapshot: StudySnapshot) -> None:
    from scipy.stats import spearmanr

    bare = replace(snapshot, attachments=())
    objectives = [round(t.objective, 2) for t in snapshot.ranked]
    tied = tuple(replace(t, objective=t.objective and round(t.objective, 2)) for t in snapshot.trials)
    for row in importance(replace(bare, trials=tied)):
        values = [t.vector[row.parameter] for t in snapshot.ranked]
        assert row.rank_correlation == pytest.approx(spearmanr(values, objectives).statistic)


def test_the_models_best_names_every_parameter(snapshot: StudySnapshot) -> None:
    assert list(model_best(snapshot)) == list(snapshot.plan.search.ranges)
    document = document_of(snapshot)
    document["fixed"] = {"B": document["best"]["vector"].pop("B")}
    kept = replace(snapshot.attachment("surrogate"), document=document)
    assert model_best(replace(snapshot, attachments=(kept,))) == model_best(snapshot)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=2),
        lambda d: d.pop("best"),
        lambda d: d["slices"][0].update(mean=[1.0]),
        lambda d: d["contours"][0].update(deviation=[[1.0]]),
        lambda d: d["parameters"][0].update(colour="red"),
        lambda d: d.update(features=[{"name": "depth"}]),
        lambda d: d.update(noise="loud"),
    ],
)
def test_a_damaged_surrogate_is_refused(snapshot: StudySnapshot, change) -> None:
    document = document_of(snapshot)
    change(document)
    with pytest.raises(AnalysisError):
        parse_surrogate(document)


def test_nothing_to_rank_is_said(empty_snapshot: StudySnapshot) -> None:
    with pytest.raises(MissingDataError, match="surrogate"):
        surrogate_of(empty_snapshot)
    with pytest.raises(MissingDataError, match="three trials"):
        importance(empty_snapshot)
