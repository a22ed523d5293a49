from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import botorch.optim.fit as fit_module
import numpy as np
import pytest
import torch
from botorch.acquisition.analytic import LogExpectedImprovement, _log_ei_helper
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.blueprint import FloatArray
from betanas.errors import StrategyError
from betanas.search.feasibility import Problem
from betanas.search.network_features import NETWORK_FEATURES, network_features
from betanas.search.propose import Observation, get_strategy
from betanas.search.propose.gpei import Gpei
from betanas.search.propose.gpei import process as process_module
from betanas.search.propose.gpei.acquisition import expected_improvement
from betanas.search.propose.gpei.front import Front, log_unit_improvement
from betanas.search.propose.gpei.local_search import LocalSearch, Score, ranked
from betanas.search.propose.gpei.model import Model
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import FIRST_FIT_POINTS, Fitter, refit_size
from betanas.search.propose.gpei.threads import capped_threads
from betanas.search.propose.screened import FeasibleStream, sobol_draw
from betanas.search.propose.surrogate_document import CONTOUR_POINTS, SLICE_POINTS
from betanas.search.settings import Limits
from betanas.search.simulation.recording import Recording, read_recordings
from betanas.spaces import SearchSpace, get_space

SPACE = get_space("betanet3", "default", fixed=dict.fromkeys(("Db", "WLa", "WLb", "WCa", "WCb"), 0.0))
PROBLEM = Problem(SPACE, resolution=32, num_classes=10, in_channels=3, batch_size=32, limits=Limits(params=800_000))
NOISE = 0.005

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests" / "golden" / "gpei_suggestions.json").read_text(encoding="utf-8"))
RECORDINGS = read_recordings(ROOT / "benchmarks" / "data" / "replay_cifar100_r32.jsonl")


def truth(vector: dict[str, float]) -> float:
    """Depends on k and G0 strongly, on Da weakly, on nothing else."""
    unit = dict(zip(SPACE.free, SPACE.to_unit(SPACE.to_array([vector]))[0], strict=True))
    return float(0.6 - 0.4 * (unit["k"] - 0.3) ** 2 - 0.2 * (unit["G0"] - 0.6) ** 2 - 0.05 * (unit["Da"] - 0.5) ** 2)


def told(count: int, seed: int = 0) -> Gpei:
    """A strategy that was told of this number of Sobol points with noise."""
    strategy = Gpei(PROBLEM, seed=seed, options={"pool": 512})
    noise = np.random.default_rng(seed)
    for index, suggestion in enumerate(get_strategy("sobol")(PROBLEM, seed=seed).ask(count)):
        value = truth(suggestion.vector) + NOISE * float(noise.standard_normal())
        strategy.tell(Observation(index, suggestion.vector, "sobol", "completed", value))
    return strategy


@pytest.fixture(scope="module")
def fifty() -> Gpei:
    return told(50)


class TestOutcomeScale:
    @given(st.lists(st.floats(-100, 100), min_size=2, max_size=60))
    @settings(deadline=None)
    def test_backward_undoes_forward_and_order_stays(self, numbers: list[float]) -> None:
        values = np.array(numbers)
        scale = OutcomeScale.fit(values)
        scaled = scale.forward(values)
        assert np.isfinite(scaled).all()
        assert scale.backward(scaled) == pytest.approx(values, abs=1e-6 * (1 + np.ptp(values)))
        order = np.argsort(values, kind="stable")
        assert (np.diff(scaled[order]) >= -1e-9).all()

    def test_skewed_accuracies_become_symmetric(self) -> None:
        values = 0.6 - np.random.default_rng(0).exponential(0.1, 300)
        scaled = OutcomeScale.fit(values).forward(values)
        plain = OutcomeScale(values.mean(), values.std()).forward(values)
        skew = lambda v: abs(float(((v - v.mean()) ** 3).mean() / v.std() ** 3))  # noqa: E731
        assert skew(plain) > 1.5
        assert skew(scaled) < 0.7
        assert scaled.std() == pytest.approx(1.0)

    def test_equal_values_map_to_zero(self) -> None:
        assert OutcomeScale.fit(np.full(30, 0.3)).forward(np.full(3, 0.3)) == pytest.approx(0.0)

    def test_moments_are_the_normal_interval_mapped_back(self) -> None:
        scale = OutcomeScale(0.4, 0.05)
        mean, deviation = scale.moments(np.array([0.0]), np.array([1.0]))
        assert (mean[0], deviation[0]) == pytest.approx((scale.centre, scale.spread))


class TestProcess:
    def test_refits_always_at_first_and_then_every_five_percent(self) -> None:
        sizes = [refit_size(n) for n in range(1, 1001)]
        assert sizes[:100] == list(range(1, 101))
        assert sizes == sorted(sizes)
        assert all(size <= n and (n <= 100 or size > n / 1.06) for n, size in enumerate(sizes, start=1))
        assert len(set(sizes[100:])) < 60

    def test_a_fit_in_two_stages_predicts_as_well_as_one(self) -> None:
        draw = np.random.default_rng(1)
        points, test = draw.random((260, 6)), draw.random((500, 6))
        values = np.sin(3 * points[:, 0]) + points[:, 1] ** 2 + 0.05 * draw.standard_normal(260)
        expected = np.sin(3 * test[:, 0]) + test[:, 1] ** 2
        assert len(points) > FIRST_FIT_POINTS
        scale = OutcomeScale.fit(values)
        process = Fitter().process(points, scale.forward(values))
        mean = scale.backward(process.predict(test)[0])
        assert np.sqrt(((mean - expected) ** 2).mean()) < 0.03

    def test_a_fit_is_remembered_only_for_the_same_data(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fits = []
        original = process_module._fit
        monkeypatch.setattr(process_module, "_fit", lambda *given: fits.append(0) or original(*given))
        fitter, draw = Fitter(), np.random.default_rng(2)
        points, values = draw.random((20, 3)), draw.standard_normal(20)
        first = fitter.process(points, values)
        again = fitter.process(points, values)
        assert len(fits) == 1
        assert (again.lengthscales == first.lengthscales).all()
        assert (fitter.process(points, values**3).lengthscales != first.lengthscales).any()
        assert len(fits) == 2

    def test_threads_are_capped_and_given_back(self) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            with capped_threads(2):
                assert torch.get_num_threads() == 2
            with pytest.raises(ZeroDivisionError), capped_threads(1):
                _ = 1 / 0
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(before)


class TestNetworkView:
    def test_features_are_those_of_the_network(self) -> None:
        rows = SPACE.from_unit(sobol_draw(len(SPACE.free), 3)(4))
        for row, features in zip(rows, network_features(PROBLEM.blueprints(rows)), strict=True):
            blueprint = PROBLEM.blueprint(row)
            layers = blueprint.layers
            told = dict(zip(NETWORK_FEATURES, features.tolist(), strict=True))
            assert told["parameters (log)"] == pytest.approx(np.log(blueprint.num_params))
            assert told["multiply-accumulates (log)"] == pytest.approx(np.log(blueprint.macs))
            assert (told["depth"], told["contractions"]) == (len(layers), sum(each.stride == 2 for each in layers))
            assert told["last channels (log)"] == pytest.approx(np.log(layers[-1].out_channels))
            assert told["latent channels (log)"] == pytest.approx(np.log(blueprint.latent))
            assert told["fused part of layers"] == pytest.approx(np.mean([each.kind == "FMBC" for each in layers]))
            assert told["residual part of layers"] == pytest.approx(np.mean([each.residual for each in layers]))

    def test_is_on_the_scale_of_the_cube_over_the_feasible(self) -> None:
        rows = FeasibleStream(PROBLEM, sobol_draw(len(SPACE.free), 0)).first(512)
        seen = NetworkView.over(PROBLEM, rows)(SPACE.to_unit(rows))
        assert seen.shape == (512, len(NETWORK_FEATURES))
        assert seen.mean(axis=0) == pytest.approx(0.5)
        assert seen.std(axis=0) == pytest.approx(12**-0.5)

    def test_leaves_out_what_is_the_same_in_every_network(self) -> None:
        fixed = {name: each.low for name, each in SPACE.parameters.items() if name != "G0"}
        problem = Problem(SPACE.replace(fixed=fixed), 32, 10, 3, 32)
        rows = FeasibleStream(problem, sobol_draw(1, 0)).first(64)
        view = NetworkView.over(problem, rows)
        assert "depth" not in view.names
        assert "parameters (log)" in view.names
        assert np.isfinite(view(problem.space.to_unit(rows))).all()
        assert view(problem.space.to_unit(rows)).shape == (64, len(view.names))

    @pytest.mark.parametrize(("name", "value"), [("k", 6.0), ("k", 1.01), ("G0", 9.0)])
    def test_a_result_outside_the_ranges_is_seen_as_the_network_it_was(self, name: str, value: float) -> None:
        rows = FeasibleStream(PROBLEM, sobol_draw(len(SPACE.free), 0)).first(64)
        view = NetworkView.over(PROBLEM, rows)
        outside = rows[:3].copy()
        outside[:, list(SPACE.parameters).index(name)] = value
        features = network_features(PROBLEM.blueprints(outside))
        expected = 0.5 + 12**-0.5 * (features - view.centre) / view.spread
        assert view(SPACE.to_unit(outside)) == pytest.approx(expected)

    def test_what_is_kept_of_the_pool_is_what_would_be_worked_out(self) -> None:
        rows = FeasibleStream(PROBLEM, sobol_draw(len(SPACE.free), 0)).first(64)
        view, points = NetworkView.over(PROBLEM, rows), SPACE.to_unit(rows)
        assert replace(view, pool={})(points) == pytest.approx(view(points), abs=1e-12)

    def test_a_process_that_sees_what_decides_predicts_it_better(self) -> None:
        # The size of the network decides, which the parameters make together.
        points = SPACE.to_unit(FeasibleStream(PROBLEM, sobol_draw(len(SPACE.free), 0)).first(256))
        view = NetworkView.over(PROBLEM, SPACE.from_unit(points))
        values = -((view(points)[:, 1] - 0.7) ** 2)
        known, asked = slice(0, 24), slice(24, None)
        errors = []
        for describe in (None, view):
            scale = OutcomeScale(values[known].mean(), values[known].std())
            process = Fitter(describe).process(points[known], scale.forward(values[known]))
            mean = scale.backward(process.predict(points[asked])[0])
            errors.append(float(np.abs(mean - values[asked]).mean()))
        assert errors[1] < 0.5 * errors[0]

    def test_a_process_believes_its_own_mean_at_pending_points(self) -> None:
        points = SPACE.to_unit(FeasibleStream(PROBLEM, sobol_draw(len(SPACE.free), 0)).first(20))
        view = NetworkView.over(PROBLEM, SPACE.from_unit(points))
        values = np.random.default_rng(0).standard_normal(20)
        process = Fitter(view).process(points, values)
        pending, asked = sobol_draw(len(SPACE.free), 5)(2), points[:3]
        believer = process.believing(pending)
        believed = np.concatenate([values, process.predict(pending)[0]])
        whole = process_module._model(
            torch.as_tensor(np.column_stack([np.vstack([points, pending]), view(np.vstack([points, pending]))])),
            torch.as_tensor(believed)[:, None],
            trends=0,
        )
        whole.load_state_dict(process.model.state_dict())
        for found, expected in zip(
            believer.predict(asked), replace(process, model=whole.eval()).predict(asked), strict=True
        ):
            assert found == pytest.approx(expected, abs=1e-6)
        assert believer.predict(pending)[0] == pytest.approx(process.predict(pending)[0], abs=1e-6)
        assert (believer.predict(pending)[1] < process.predict(pending)[1]).all()
        assert process.believing(points[:0]) is process

    def test_leaving_one_out_is_a_process_of_the_others(self) -> None:
        draw = np.random.default_rng(0)
        points, values = draw.random((20, 3)), draw.standard_normal(20)
        process = Fitter().process(points, values)
        mean, deviation = process.leave_one_out()
        others = process_module._model(torch.as_tensor(points[1:]), torch.as_tensor(values[1:])[:, None], trends=0)
        others.load_state_dict(process.model.state_dict())
        expected, without_noise = replace(process, model=others.eval()).predict(points[:1])
        assert mean[0] == pytest.approx(expected[0], abs=1e-6)
        assert deviation[0] == pytest.approx(np.hypot(without_noise[0], process.noise), abs=1e-6)


class TestLocalSearch:
    def test_finds_the_maximum_on_the_border_of_the_feasible(self) -> None:
        pool = sobol_draw(5, 0)(512)
        feasible = lambda points: points.sum(axis=1) <= 2.0  # noqa: E731
        score = lambda points: points @ np.array([3.0, 1.0, 1.0, 1.0, 1.0])  # noqa: E731
        pool = pool[feasible(pool)]
        ranking = ranked(score, pool, feasible, np.random.default_rng(0))
        assert feasible(ranking).all()
        assert (np.diff(score(ranking)) <= 0).all()
        # The optimum is 4, at a first coordinate of 1 and a sum of 2; the pool's best is well below.
        assert score(ranking[:1])[0] > 3.9 > score(pool).max()

    def test_goes_on_where_no_step_is_feasible(self) -> None:
        pool = np.full((1, 3), 0.5)
        nowhere = lambda points: np.zeros(len(points), dtype=bool)  # noqa: E731
        ranking = ranked(lambda points: points[:, 0], pool, nowhere, np.random.default_rng(0), LocalSearch(rounds=2))
        assert (ranking == pool).all()


class TestExpectedImprovement:
    def test_is_that_of_botorch_over_the_best_mean(self) -> None:
        draw = np.random.default_rng(0)
        points, values, asked = draw.random((30, 4)), draw.standard_normal(30), draw.random((200, 4))
        process = Fitter().process(points, values)
        best = torch.as_tensor(process.predict(points)[0].max())
        with torch.no_grad():
            expected = LogExpectedImprovement(process.model, best)(torch.as_tensor(asked)[:, None]).numpy()
        assert expected_improvement(process, points, points[:0])(asked) == pytest.approx(expected, abs=1e-6)

    @given(st.floats(-1e8, 40.0))
    def test_of_a_unit_normal_is_exact_everywhere(self, z: float) -> None:
        expected = float(_log_ei_helper(torch.tensor(z, dtype=torch.float64)))
        assert log_unit_improvement(np.array([z]))[0] == pytest.approx(expected, rel=1e-6, abs=1e-6)


class TestFront:
    def test_hand_made_staircase(self) -> None:
        # Costs 1, 2, 3 with values 1, 3, 2: the last one is beaten. Without noise a value of 4 at cost 1.5 adds
        # (4 - 1) * 0.5 below the step at 2 and (4 - 3) * 2 from there to the reference at 4.
        front = Front.of(np.array([1.0, 3.0, 2.0]), np.array([1.0, 2.0, 3.0]), reference=4.0)
        assert front.levels[1:].tolist() == [1.0, 3.0]
        added = np.exp(front.log_improvement(np.array([1.5]), np.array([4.0]), np.array([1e-9])))
        assert added == pytest.approx([3.5])

    def test_is_the_expectation(self) -> None:
        draw = np.random.default_rng(0)
        front = Front.of(draw.random(20), draw.random(20), reference=1.2)
        cost, mean, deviation = 0.3, 0.6, 0.3
        values = mean + deviation * draw.standard_normal(200_000)
        widths = np.maximum(front.ends - np.maximum(front.starts, cost), 0.0)
        sampled = (np.maximum(values[:, None] - front.levels, 0.0) @ widths).mean()
        exact = np.exp(front.log_improvement(np.array([cost]), np.array([mean]), np.array([deviation])))
        assert exact == pytest.approx([sampled], rel=0.01)

    def test_beyond_the_reference_and_far_below_the_front(self) -> None:
        front = Front.of(np.array([1.0, 2.0]), np.array([0.0, 1.0]), reference=3.0)
        values = front.log_improvement(np.array([3.5, 1.0, 1.0]), np.array([9.0, -30.0, -40.0]), np.full(3, 1.0))
        assert values[0] == -np.inf
        assert np.isfinite(values[1:]).all()
        assert values[1] > values[2]

    def test_a_search_for_a_front_finds_cheap_networks_that_a_plain_one_does_not(self) -> None:
        found = {}
        for against in ("", "params"):
            strategy = Gpei(replace(PROBLEM, against=against), seed=1, options={"initial": 8, "pool": 512})
            for index in range(12):
                (suggestion,) = strategy.ask()
                strategy.tell(
                    Observation(index, suggestion.vector, suggestion.origin, "completed", truth(suggestion.vector))
                )
            rows = SPACE.to_array(seen.vector for seen in strategy.observations if seen.origin == "gpei")
            assert PROBLEM.feasible(rows).all()
            found[against] = PROBLEM.price(rows).params.min()
        assert found["params"] < found[""]


class TestGpei:
    def test_takes_over_at_the_stated_density_of_usable_results(self) -> None:
        strategy = told(40)
        dimensions = len(SPACE.free)
        assert strategy.initial == dimensions + 1
        observations = strategy.observations
        fresh = Gpei(PROBLEM, seed=0, options={"pool": 512})
        for seen in observations[: strategy.initial]:
            failed = seen.index == 3
            fresh.tell(
                Observation(
                    seen.index, seen.vector, "sobol", "failed" if failed else "completed", None if failed else 0.5
                )
            )
        assert fresh.ask()[0].origin == "sobol"
        fresh.tell(observations[3])
        assert fresh.ask()[0].origin == "gpei"

    def test_finds_better_networks_than_its_sequence(self) -> None:
        strategy = told(24)
        best_of_sobol = max(truth(seen.vector) for seen in strategy.observations)
        for index in range(24, 31):
            (suggestion,) = strategy.ask()
            assert suggestion.origin == "gpei"
            strategy.tell(Observation(index, suggestion.vector, "gpei", "completed", truth(suggestion.vector)))
        found = max(truth(seen.vector) for seen in strategy.observations)
        assert found > best_of_sobol
        assert found > 0.59  # of at most 0.6

    def test_predicts_the_best_of_the_feasible_space(self, fifty: Gpei) -> None:
        prediction = fifty.predict_best()
        assert prediction is not None
        assert PROBLEM.feasible(SPACE.to_array([prediction.vector]))[0]
        assert truth(prediction.vector) >= max(truth(seen.vector) for seen in fifty.observations) - 0.003
        assert prediction.mean == pytest.approx(truth(prediction.vector), abs=4 * prediction.deviation + NOISE)

    def test_two_results_are_enough_and_one_is_not(self) -> None:
        strategy = Gpei(PROBLEM, seed=0, options={"initial": 2, "pool": 64})
        (first, second) = get_strategy("sobol")(PROBLEM, seed=0).ask(2)
        strategy.tell(Observation(0, first.vector, "sobol", "completed", 0.3))
        assert strategy.predict_best() is None
        assert strategy.ask()[0].origin == "sobol"
        strategy.tell(Observation(1, second.vector, "sobol", "completed", 0.4))
        assert strategy.ask()[0].origin == "gpei"

    def test_pending_candidates_push_the_next_one_away(self, fifty: Gpei) -> None:
        several = [SPACE.to_unit(SPACE.to_array([each.vector]))[0] for each in fifty.ask(4)]
        distances = [float(np.linalg.norm(a - b)) for i, a in enumerate(several) for b in several[:i]]
        assert min(distances) > 0.02

    def test_results_outside_the_ranges_are_learned_from(self) -> None:
        strategy = told(24)
        outside = {**strategy.observations[0].vector, "k": 5.0}
        strategy.tell(Observation(24, outside, "user", "completed", 0.1))
        assert strategy.ask()[0].origin == "gpei"

    @pytest.mark.parametrize(
        "options", [{"initial": -1}, {"pool": 1}, {"pool": 2.5}, {"initial": True}, {"network": 1}]
    )
    def test_refuses_options_that_make_no_sense(self, options: dict[str, object]) -> None:
        with pytest.raises(StrategyError, match="option"):
            Gpei(PROBLEM, seed=0, options=options)


@pytest.fixture(scope="module")
def document(fifty: Gpei) -> dict:
    exported = fifty.export_surrogate()
    assert exported is not None
    return dict(exported)


class TestSurrogateDocument:
    def test_is_plain_json(self, document: dict) -> None:
        assert json.loads(json.dumps(document, allow_nan=False)) == document

    def test_knows_what_matters(self, document: dict) -> None:
        importance = {each["name"]: each["importance"] for each in document["parameters"]}
        assert list(importance) == list(SPACE.free)
        assert sorted(importance, key=importance.get)[-2:] == ["G0", "k"]
        assert importance["k"] > 0.5
        assert sum(importance.values()) == pytest.approx(1.0, abs=0.15)
        assert [each["name"] for each in document["features"]] == list(NETWORK_FEATURES)
        seen = (*document["parameters"], *document["features"])
        assert sum(each["relevance"] for each in seen) == pytest.approx(1.0)
        assert all(each["lengthscale"] > 0 for each in seen)
        assert document["fixed"] == {"Db": 0.0, "WLa": 0.0, "WLb": 0.0, "WCa": 0.0, "WCb": 0.0}

    def test_cross_validation_and_noise_are_right_on_known_noise(self, document: dict) -> None:
        validation = document["cross_validation"]
        assert len(validation["points"]) == document["observations"] == 50
        assert [point["trial"] for point in validation["points"]] == list(range(50))
        assert validation["coverage"] >= 0.85
        assert validation["r2"] > 0.9
        assert NOISE / 2 < document["noise"] < NOISE * 2
        assert validation["rmse"] < 4 * NOISE

    def test_slices_and_contours_pass_through_the_best(self, document: dict) -> None:
        best = document["best"]
        assert [each["parameter"] for each in document["slices"]] == list(SPACE.free)
        for each in document["slices"]:
            assert all(len(each[key]) == SLICE_POINTS for key in ("values", "mean", "deviation", "feasible"))
            place = int(np.argmin(np.abs(np.array(each["values"]) - best["vector"][each["parameter"]])))
            assert each["mean"][place] == pytest.approx(best["mean"], abs=0.02)
        assert len(document["contours"]) == 3
        for each in document["contours"]:
            assert np.array(each["mean"]).shape == (CONTOUR_POINTS, CONTOUR_POINTS)
            row = int(np.argmin(np.abs(np.array(each["y_values"]) - best["vector"][each["y"]])))
            column = int(np.argmin(np.abs(np.array(each["x_values"]) - best["vector"][each["x"]])))
            assert each["mean"][row][column] == pytest.approx(best["mean"], abs=0.03)

    def test_where_no_feature_varies_the_document_names_none(self) -> None:
        strategy = Gpei(PROBLEM, seed=0, options={"pool": 64})
        rows = FeasibleStream(PROBLEM, sobol_draw(len(SPACE.free), 0)).first(6)
        points, view = SPACE.to_unit(rows), NetworkView.over(PROBLEM, np.repeat(rows[:1], 6, axis=0))
        assert view.names == ()
        model = Model(points, strategy.screen, view)
        document = model.export(points, np.arange(6.0), trials=range(6), space=SPACE, seed=(0,))
        assert document.features == ()
        assert "feature" not in document.model

    def test_without_the_view_the_parameters_have_all_the_relevance(self) -> None:
        strategy = Gpei(PROBLEM, seed=0, options={"pool": 64, "network": False})
        for seen in told(20).observations:
            strategy.tell(seen)
        document = strategy.export_surrogate()
        assert document is not None
        assert document["features"] == []
        assert sum(each["relevance"] for each in document["parameters"]) == pytest.approx(1.0)

    def test_two_free_parameters_have_one_contour(self) -> None:
        fixed = {name: searched.low for name, searched in SPACE.parameters.items() if name not in ("k", "G0")}
        problem = Problem(SPACE.replace(fixed=fixed), 32, 10, 3, 32)
        strategy = Gpei(problem, seed=0, options={"pool": 64})
        for index, each in enumerate(get_strategy("sobol")(problem, seed=0).ask(5)):
            strategy.tell(Observation(index, each.vector, "sobol", "completed", 0.1 * index))
        document = strategy.export_surrogate()
        assert document is not None
        assert [(each["x"], each["y"]) for each in document["contours"]] == [("k", "G0")]


class TestThreads:
    """The search says how many threads a suggestion may use (`SearchLoop` sets `Strategy.threads`)."""

    @pytest.mark.parametrize(("name", "allowed", "used"), [("gpei", 1, 1), ("gpei", 16, 2), ("report", 1, 1)])
    def test_a_suggestion_uses_those_that_are_allowed(
        self, name: str, allowed: int, used: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        fit = fit_module.scipy_minimize

        def watched(*given: Any, **more: Any) -> Any:
            seen.append(torch.get_num_threads())
            return fit(*given, **more)

        monkeypatch.setattr(fit_module, "scipy_minimize", watched)
        stage = {"initial": 4, "pool": 64} if name == "gpei" else {"sobol": 4}
        strategy = get_strategy(name)(PROBLEM, seed=0, options=stage)
        for index, each in enumerate(get_strategy("sobol")(PROBLEM, seed=0).ask(4)):
            strategy.tell(Observation(index, each.vector, "sobol", "completed", truth(each.vector)))
        strategy.threads = allowed
        before = torch.get_num_threads()
        torch.set_num_threads(4)
        try:
            assert strategy.ask()[0].origin == "gpei"
            assert set(seen) == {used}
            assert torch.get_num_threads() == 4
        finally:
            torch.set_num_threads(before)

    @pytest.mark.parametrize(("name", "retired"), [("gpei", {"threads": 2}), ("report", {"threads": 2, "pool": 64})])
    def test_options_that_old_studies_hold_change_nothing(self, name: str, retired: dict[str, int]) -> None:
        assert get_strategy(name)(PROBLEM, seed=0, options=retired).ask() == get_strategy(name)(PROBLEM, seed=0).ask()


class TestSuggestionsOfTheVersionOnAx:
    """`gpei` once went through Ax. The golden file holds what it suggested then, on the recorded CIFAR-100 trials."""

    @pytest.mark.parametrize("golden", GOLDEN, ids=lambda one: f"{one['preset']}-{one['against']}-{one['trained']}")
    def test_are_the_same_or_as_good(self, golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        space = get_space("betanet3", golden["preset"])
        limits = Limits(params=30_000_000, macs=30_000_000, lookahead=((224, 50_000_000),))
        problem = Problem(space, 32, 100, 3, 100, limits=limits, against=golden["against"])
        strategy = Gpei(problem, seed=golden["trained"], options={"pool": 2048, **golden["options"]})
        trials = distinct_recordings_inside(space)[: golden["trained"] + golden["pending"]]
        for index, each in enumerate(trials):
            trained = index < golden["trained"]
            state, value = ("completed", each.top1) if trained else ("running", None)
            strategy.tell(Observation(index, each.vector, "sobol", state, value))
        best = strategy.predict_best()
        assert best is not None
        assert best.mean == pytest.approx(golden["best"]["mean"], abs=1e-4)
        assert best.deviation == pytest.approx(golden["best"]["deviation"], abs=1e-4)
        scores: list[Score] = []

        def watched(score: Score, *given: Any) -> FloatArray:
            scores.append(score)
            return ranked(score, *given)

        monkeypatch.setattr("betanas.search.propose.gpei.model.ranked", watched)
        for index, earlier in enumerate(golden["suggested"], start=len(trials)):
            (suggestion,) = strategy.ask()
            # Where a processor rounds otherwise, another of several nearly equal candidates may win.
            found, then = scores[-1](space.to_unit(space.to_array([suggestion.vector, earlier])))
            assert then == pytest.approx(found, abs=0.02)
            strategy.tell(Observation(index, earlier, "gpei", "running"))


def distinct_recordings_inside(space: SearchSpace) -> list[Recording]:
    """The recorded trials inside a space's ranges, each vector once."""
    kept: dict[tuple[float, ...], Recording] = {}
    for each in RECORDINGS:
        unit = space.to_unit(space.to_array([each.vector]))
        if ((unit >= 0) & (unit <= 1)).all():
            kept.setdefault(tuple(each.vector.values()), each)
    return list(kept.values())


def loaded_after(code: str) -> set[str]:
    """Which heavy libraries a fresh process has loaded after some lines with a `strategy` of two trained candidates."""
    script = (
        "import sys\n"
        "from betanas.search.feasibility import Problem\n"
        "from betanas.search.propose import Observation, get_strategy\n"
        "from betanas.spaces import get_space\n"
        "problem = Problem(get_space('betanet2'), 32, 10, 3, 32)\n"
        "strategy = get_strategy('gpei')(problem, seed=0, options={'initial': 2, 'pool': 64})\n"
        "for index, each in enumerate(strategy.ask(2)):\n"
        "    strategy.tell(Observation(index, each.vector, each.origin, 'completed', 0.1 * index))\n"
        f"{code}\n"
        "heavy = ('torch', 'botorch', 'gpytorch', 'ax', 'optuna', 'sklearn', 'pandas', 'plotly')\n"
        "print('LOADED', *(name for name in heavy if name in sys.modules))\n"
    )
    answer = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    return set(answer.stdout.split("LOADED")[1].split())


def test_the_sobol_stage_loads_nothing_heavy() -> None:
    assert loaded_after("") == set()


def test_the_model_loads_botorch_silently_and_never_ax() -> None:
    code = "assert strategy.ask()[0].origin == 'gpei' and strategy.predict_best() and strategy.export_surrogate()"
    assert loaded_after(code) == {"torch", "botorch", "gpytorch"}


def test_without_ax_the_default_strategy_works_and_report_says_what_to_install() -> None:
    code = (
        "sys.modules['ax'] = None\n"
        "from betanas.errors import MissingExtraError\n"
        "try:\n"
        "    get_strategy('report')\n"
        "except MissingExtraError as error:\n"
        "    assert 'betanas[report]' in str(error)\n"
        "else:\n"
        "    raise SystemExit('no message')\n"
        "assert strategy.ask()[0].origin == 'gpei'\n"
        "del sys.modules['ax']"
    )
    loaded_after(code)
