"""A made-up study with a plausible response surface over real BetaNet3 vectors, networks and costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from betanas.analysis.snapshot import StudySnapshot
from betanas.blueprint import BlueprintBatch
from betanas.cost import training_memory
from betanas.search.confirmed import Confirmation, ConfirmationRun
from betanas.search.objectives import OwnFunction
from betanas.search.propose.surrogate_document import (
    Contour,
    CrossValidation,
    FeatureRelevance,
    LeftOut,
    ParameterRelevance,
    PredictedBest,
    Slice,
    SurrogateDocument,
)
from betanas.search.records import Attachment, SessionRecord, StudyPlan, TrialRecord
from betanas.search.settings import SearchSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.spaces import get_space
from betanas.training.result import CurvePoint, TrialResult

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
BUDGET = 20.0


@cache
def make_study(trials: int = 120, seed: int = 7, *, resolution: int = 32, limit: int = 180_000) -> StudySnapshot:
    """A deterministic study: Sobol-like points, then points drawn towards the surface's best region.

    Some candidates exceed the limit, some fail, some repeat an earlier network, and the search was restarted once.
    """
    rng = np.random.default_rng(seed)
    space = get_space("betanet3")
    wanted = np.array([0.35, 0.3, 0.4, 0.8, 0.2, 0.9, 0.6, 0.55, 0.5, 0.6, 0.2, 0.7, 0.65, 0.6, 0.4])
    weight = np.array([2.0, 1.2, 0.6, 0.8, 0.3, 0.3, 0.2, 0.2, 1.5, 0.4, 0.9, 0.5, 0.5, 0.1, 0.1])
    explored = max(trials * 2 // 5, 8)
    points = rng.random((trials, len(wanted)))
    pull = np.clip(np.linspace(0.2, 0.9, trials - explored), 0, 0.9)[:, None]
    away = np.where(rng.random((trials - explored, 1)) < 0.4, 1.0, 0.0) * 0.25 * (wanted[::-1] - wanted)
    points[explored:] += pull * (wanted + away - points[explored:])
    points = np.clip(points, 0, 1)
    again = max(trials // 12, 2)
    for place in range(explored + again, trials, 17):
        points[place] = points[place - again]
    rows = space.from_unit(points)
    batch = space.blueprints(rows, resolution=resolution, num_classes=10)
    memory = training_memory(batch, 64)
    records: list[TrialRecord] = []
    first_of: dict[str, int] = {}
    clock = START
    for index in range(trials):
        bp = batch[index]
        record = TrialRecord(
            index=index,
            vector=space.to_vector(rows[index]),
            blueprint_key=bp.key,
            origin="sobol" if index < explored else "gpei",
            state="completed",
            seed=seed + index,
            session=0 if index < trials * 3 // 5 else 1,
            params=bp.num_params,
            macs=bp.macs,
            memory=int(memory[index]),
            device="cpu (2 threads)",
            started=clock,
        )
        earlier = first_of.get(bp.key)
        if bp.num_params > limit:
            reason = f"The network has {bp.num_params:,} parameters; the study allows {limit:,}."
            record = replace(record, state="infeasible", cause="limit", reason=reason, ended=clock)
        elif index % 29 == 13:
            reason = "The loss became NaN after 37 steps."
            clock += timedelta(seconds=6)
            record = replace(record, state="failed", cause="non_finite", reason=reason, ended=clock)
        elif earlier is not None and index % 2:
            source = records[earlier]
            record = replace(
                record, repeat_of=earlier, top1=source.top1, top5=source.top5, objective=source.objective, ended=clock
            )
        else:
            first_of.setdefault(bp.key, index)
            distance = float((weight * (points[index] - wanted) ** 2).sum())
            final = 0.12 + 0.5 * float(np.exp(-distance)) + 0.005 * rng.standard_normal()
            stopped = final < 0.45 and index > explored and index % 3 == 0
            seconds = BUDGET * (0.4 if stopped else 1.0)
            shares = np.linspace(0.1, seconds / BUDGET, 4 if stopped else 10)
            curve = tuple(
                CurvePoint(
                    seconds=float(BUDGET * share),
                    step=int(400 * share),
                    epoch=float(6 * share),
                    loss=float(2.3 * np.exp(-1.5 * share) + 0.02 * rng.random()),
                    accuracy=float(0.1 + (final - 0.1) * (1 - np.exp(-4 * share)) / (1 - np.exp(-4))),
                )
                for share in shares
            )
            best = max(point.accuracy for point in curve)
            clock += timedelta(seconds=seconds + 4)
            record = replace(
                record,
                state="stopped" if stopped else "completed",
                top1=best,
                top5=min(1.0, best + 0.3),
                objective=best,
                training_seconds=seconds,
                wall_seconds=seconds + 4,
                peak_memory=int(memory[index] * 1.1),
                images_per_second=900.0,
                curve=curve,
                ended=clock,
            )
        records.append(record)
    second = next(record.started for record in records if record.session == 1)
    asked = SearchSettings(
        data="digits",
        study="none",
        resolution=resolution,
        budget="20s",
        recipe="search",
        batch_size=64,
        ranges={name: (searched.low, searched.high) for name, searched in space.parameters.items()},
        seed=seed,
        trials=trials,
        max_params=limit,
    )
    plan = StudyPlan(
        data=asked.data,
        training=asked.training,
        limits=asked.limits,
        machine=asked.machine,
        search=asked.search,
        data_fingerprint="0123abcd",
        classes=tuple("0123456789"),
        in_channels=3,
        recipe_settings={"optimizer": "adamw", "learning_rate": 0.001},
    )
    sessions = tuple(
        SessionRecord(
            index=place,
            started=started,
            seen=ended,
            ended=None if place == 0 else ended,
            ending=ending,
            host="laboratory",
            pid=4000 + place,
            command=command,
            versions={"python": "3.11.9", "betanas": "0.1.0", "torch": "2.14.1"},
            hardware={"processor": "Two cores", "memory": "16 GiB"},
        )
        for place, (started, ended, ending, command) in enumerate(
            (
                (START, second, "", "betanas search --data digits --space betanet3 --study runs/digits"),
                (second, clock, "finished", "betanas resume runs/digits"),
            )
        )
    )
    ranked = sorted((r for r in records if r.state == "completed"), key=lambda r: (-(r.objective or 0), r.index))
    best_index = ranked[0].repeat_of if ranked[0].repeat_of is not None else ranked[0].index
    return StudySnapshot(
        name="digits",
        plan=plan,
        trials=tuple(records),
        sessions=sessions,
        attachments=(
            Attachment("surrogate", "gpei", clock, surrogate_document(tuple(records), plan)),
            Attachment("comparison", "published", clock, comparison_document()),
            *confirmation_attachments(ranked, batch, clock),
            Attachment("profile", "processes", clock, profile_document()),
        ),
        blueprints={best_index: batch[best_index]},
    )


def surrogate_document(trials: tuple[TrialRecord, ...], plan: StudyPlan) -> dict[str, object]:
    """A surrogate of the made-up surface, in the schema that the search exports."""
    rng = np.random.default_rng(1)
    usable = [trial for trial in trials if trial.objective is not None and trial.repeat_of is None]
    best = max(usable, key=lambda trial: trial.objective or 0.0)
    weights = rng.dirichlet(np.ones(len(plan.search.ranges)))
    names = list(plan.search.ranges)

    def bump(name: str, values: np.ndarray) -> np.ndarray:
        low, high = plan.search.ranges[name]
        return 0.05 * weights[names.index(name)] * 15 * ((values - best.vector[name]) / (high - low)) ** 2

    def axis(name: str, points: int) -> np.ndarray:
        return np.linspace(*plan.search.ranges[name], points)

    slices = []
    for name in names:
        values = axis(name, 51)
        mean = (best.objective or 0.0) - bump(name, values)
        slices.append(
            Slice(
                parameter=name,
                values=tuple(values.tolist()),
                mean=tuple(mean.tolist()),
                deviation=tuple((0.006 + bump(name, values) / 4).tolist()),
                feasible=tuple((values < np.quantile(values, 0.85)).tolist() if name == "G0" else [True] * 51),
            )
        )
    leading = [names[place] for place in np.argsort(-weights)[:3]]
    contours = []
    for first, second in ((0, 1), (0, 2), (1, 2)):
        x, y = leading[first], leading[second]
        xs, ys = axis(x, 31), axis(y, 31)
        loss = bump(x, xs)[None] + bump(y, ys)[:, None]
        contours.append(
            Contour(
                x=x,
                y=y,
                x_values=tuple(xs.tolist()),
                y_values=tuple(ys.tolist()),
                mean=tuple(map(tuple, ((best.objective or 0.0) - loss).tolist())),
                deviation=tuple(map(tuple, (0.006 + loss / 3).tolist())),
                feasible=tuple(map(tuple, (loss < 0.1).tolist())),
            )
        )
    points = []
    for trial in usable:
        value = float(trial.objective or 0.0)
        mean = value + float(rng.normal(0, 0.012))
        points.append(LeftOut(trial.index, value, mean, mean - 0.025, mean + 0.025))
    return SurrogateDocument(
        model="Gaussian process, Matern 5/2, one length scale a parameter",
        observations=len(usable),
        noise=0.006,
        parameters=tuple(
            ParameterRelevance(name, *plan.search.ranges[name], 0.3 / (0.05 + weight), 0.8 * weight, 1.1 * weight)
            for name, weight in zip(names, weights.tolist(), strict=True)
        ),
        fixed={},
        best=PredictedBest(dict(best.vector), best.objective or 0.0, 0.006),
        cross_validation=CrossValidation(tuple(points), 0.95, 0.96, 0.0123, 0.97, 0.98),
        slices=tuple(slices),
        contours=tuple(contours),
        features=(FeatureRelevance("depth", 1.2, 0.15), FeatureRelevance("latent channels (log)", 3.6, 0.05)),
    ).to_dict()


def comparison_document() -> dict[str, object]:
    """The report's Tables 7 and 8 as a comparison, with made-up curves that end at the printed accuracies."""
    printed = [
        ("ResNet50", "ResNet50", "benchmark", 224, 23_710_000, 78.91, 2.68),
        ("MobileNetV2", "MobileNetV2", "benchmark", 224, 2_350_000, 74.55, 1.86),
        ("EfficientNet-B0", "EfficientNet-B0", "benchmark", 224, 4_140_000, 76.97, 2.11),
        ("BetaNet2-R224", "BetaNet2", "searched", 224, 8_861_669, 78.11, 1.90),
        ("BetaNet3-R224", "BetaNet3", "searched", 224, 5_110_124, 78.34, 1.75),
        ("EfficientNetV2-S", "EfficientNetV2-S", "benchmark", 384, 20_310_000, 79.11, 6.31),
        ("BetaNet2-R384", "BetaNet2", "searched", 384, 30_008_433, 78.43, 3.76),
        ("BetaNet3-R384", "BetaNet3", "searched", 384, 14_634_951, 80.37, 3.86),
    ]
    epochs = np.linspace(1, 120, 60)
    table: list[dict[str, object]] = []
    histories: list[dict[str, object]] = []
    for name, family, role, side, params, top1, hours in printed:
        for seed in range(3):
            curve = [
                {
                    "epoch": float(epoch),
                    "seconds": float(hours * 3600 * epoch / 120),
                    "step": int(500 * epoch),
                    "loss": 1.0,
                    "accuracy": float(top1 / 100 * (1 - np.exp(-epoch / (16 + 2 * seed)))),
                }
                for epoch in epochs
            ]
            histories.append({"name": name, "resolution": side, "seed": seed, "curve": curve})
        table.append(
            {
                "name": name,
                "family": family,
                "role": role,
                "resolution": side,
                "params": params,
                "macs": params * 90,
                "top1": {"mean": top1 / 100, "margin": 0.004, "n": 3},
                "top5": {"mean": 0.94, "margin": 0.005, "n": 3},
                "training_seconds": {"mean": hours * 3600, "margin": 100.0, "n": 3},
                "images_per_second": {"mean": 2100.0, "margin": 90.0, "n": 3},
                "peak_memory": 9 * 2**30,
                "failed": 0,
            }
        )
    return {
        "title": "Published networks",
        "data": "cifar100",
        "recipe": "report",
        "budget": "120epochs",
        "table": table,
        "histories": histories,
    }


def confirmation_attachments(
    ranked: list[TrialRecord], batch: BlueprintBatch, created: datetime
) -> tuple[Attachment, ...]:
    """Three leaders trained again with three fresh seeds each; the second one turns out best, one training failed."""
    found = []
    for place, trial in enumerate([one for one in ranked if one.repeat_of is None][:3]):
        mean = (trial.top1 or 0.0) - (0.02, 0.004, 0.015)[place]
        runs = [ConfirmationRun(1000 + seed, mean + 0.003 * (seed - 1), 0.95, BUDGET) for seed in range(3)]
        if place == 2:
            runs[2] = ConfirmationRun(1002, None, None, 3.0, "The loss became NaN.")
        one = Confirmation(trial.index, trial.vector, batch[trial.index], tuple(runs))
        found.append(Attachment("confirmation", f"trial-{trial.index}", created, one.to_dict()))
    return tuple(found)


def profile_document() -> dict[str, object]:
    """Epoch times with one to six processes."""
    return {
        "format": 1,
        "title": "Epoch time",
        "network": "ResNet50",
        "data": "cifar100",
        "entries": [
            {"processes": n, "epoch_seconds": [round(120 / n**0.85 * wobble, 2) for wobble in (0.97, 1.0, 1.04)]}
            for n in range(1, 7)
        ],
    }


def write_study(snapshot: StudySnapshot, directory: Path) -> Path:
    """The made-up study in a real store, curves and attachments included."""
    plan = snapshot.plan
    directory.mkdir(parents=True)
    store = Store.create(StudyLocation.parse(directory), plan)
    batch = get_space(plan.search.space).blueprints(
        snapshot.matrix(), resolution=plan.resolution, num_classes=len(plan.classes), in_channels=plan.in_channels
    )
    for one in snapshot.sessions:
        number = store.begin_session(
            host=one.host, pid=one.pid, command=one.command, versions=one.versions, hardware=one.hardware
        )
        if one.ending:
            store.end_session(number, one.ending)
    for trial, blueprint in zip(snapshot.trials, batch, strict=True):
        if not trial.curve:
            store.add_trial(trial, blueprint)
            continue
        store.add_trial(replace(trial, state="running", ended=None), blueprint)
        result = TrialResult(
            outcome=trial.state,
            top1=trial.top1,
            top5=trial.top5,
            curve=trial.curve,
            training_seconds=trial.training_seconds,
            wall_seconds=trial.wall_seconds,
            images_per_second=trial.images_per_second,
            peak_memory=trial.peak_memory,
            device=trial.device,
        )
        store.end_trial(trial.index, trial.attempts, result, objective=trial.objective)
    for one in snapshot.attachments:
        store.attach(one.kind, one.name, one.document)
    store.close()
    return directory


@pytest.fixture(scope="session")
def stored_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds a made-up study of forty trials."""
    return write_study(make_study(40), tmp_path_factory.mktemp("studies") / "digits")


@pytest.fixture(scope="package")
def browser() -> Iterator[object]:
    """A real browser, one for the tests that need it."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium")
    api = pytest.importorskip("playwright.sync_api")
    drawing = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a graphics card
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-background-networking", *drawing]
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def snapshot() -> StudySnapshot:
    return make_study()


@pytest.fixture(scope="session")
def empty_snapshot() -> StudySnapshot:
    """A study in which nothing has ended yet."""
    full = make_study()
    return replace(full, trials=(), sessions=(), attachments=(), blueprints={}, state="new")


HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"


@pytest.fixture(scope="session")
def hostile_snapshot() -> StudySnapshot:
    """A stranger's study: every word in it that can be one is an attempt to run a script."""
    full = make_study(60)
    word = HOSTILE
    trials = tuple(
        replace(
            trial,
            origin=word,
            reason=word,
            device=word,
            blueprint_key=trial.blueprint_key,
            cause=word if trial.cause else "",  # type: ignore[arg-type]
        )
        for trial in full.trials
    )
    plan = replace(
        full.plan.changed(
            preset=word,
            data=word,
            recipe=word,
            strategy=word,
            objective=OwnFunction(word),
            executor=word,
            devices=[word],
            plugins=[word],
        ),
        data_fingerprint=word,
        classes=(word,) * 10,
        recipe_settings={word: word},
    )
    sessions = tuple(
        replace(one, command=word, host=word, ending=word, versions={word: word}, hardware={word: word})
        for one in full.sessions
    )
    documents = {one.kind: json.loads(json.dumps(one.document)) for one in full.attachments}
    documents["surrogate"]["model"] = word
    for network in documents["comparison"]["table"]:
        network["family"] += word
    for entry in documents["comparison"]["table"] + documents["comparison"]["histories"]:
        entry["name"] += word
    documents["comparison"]["data"] = word
    for run in documents["confirmation"]["runs"]:
        run["reason"] = word
    documents["profile"]["network"] = word
    documents["scaling"] = {
        "format": 1,
        "rows": [
            {"rule": word, "resolution": side, "params": side, "macs": side, "memory": side} for side in (64, 128)
        ],
    }
    attachments = tuple(Attachment(kind, word, START, document) for kind, document in documents.items())
    return replace(full, name=word, plan=plan, trials=trials, sessions=sessions, attachments=attachments, state=word)
