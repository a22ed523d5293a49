from __future__ import annotations

import gc
import math
import time
import weakref

import pytest
import torch
from torch import nn

from betanas.blueprint import Blueprint
from betanas.data.images import ImageSet, Splits
from betanas.errors import BlueprintError, DataError, DeviceError
from betanas.training.budget import Budget
from betanas.training.clock import BudgetClock
from betanas.training.engine import TrialEngine, resolve_device
from betanas.training.recipe import load_recipe
from betanas.training.result import TrialResult

STEPS = Budget.parse("12steps")


@pytest.fixture(scope="module")
def engine(digits, quick) -> TrialEngine:
    return TrialEngine(digits, resolution=8, recipe=quick, device="cpu")


def without_times(result: TrialResult) -> dict:
    """What must be equal, bit for bit, between two runs with the same seed."""
    plain = result.to_dict()
    for name in ("training_seconds", "wall_seconds", "preparation_seconds", "images_per_second", "peak_memory"):
        plain.pop(name)
    plain["curve"] = [{**point, "seconds": 0.0} for point in plain["curve"]]
    return plain


def test_a_network_learns_and_its_record_is_whole(engine, blueprint):
    result = engine.run(blueprint, budget=Budget.parse("3epochs"), seed=0)
    assert (result.outcome, result.cause, result.reason) == ("completed", "", "")
    assert result.top1 > 0.75
    assert result.top5 >= result.top1
    assert (result.steps, result.epochs) == (84, 3.0)
    assert [point.step for point in result.curve] == [42, 84]
    assert result.top1 == max(point.accuracy for point in result.curve)
    assert result.curve[-1].loss < result.curve[0].loss
    assert 0 < result.training_seconds < result.wall_seconds
    assert result.images_per_second == pytest.approx(84 * 50 / result.training_seconds)
    assert result.peak_memory > 10**8
    assert result.device.startswith("cpu (1 thread")
    assert TrialResult.from_dict(result.to_dict()) == result


@pytest.mark.parametrize("budget", ["12steps", "0.5epochs"])
def test_the_same_seed_gives_the_same_result(engine, blueprint, budget):
    first, second, other = (engine.run(blueprint, budget=Budget.parse(budget), seed=s) for s in (3, 3, 4))
    assert without_times(first) == without_times(second)
    assert without_times(first) != without_times(other)


def test_the_same_seed_gives_the_same_result_in_a_new_engine(engine, digits, quick, blueprint):
    torch.manual_seed(99)
    other = TrialEngine(digits, resolution=8, recipe=quick, device="cpu")
    results = [each.run(blueprint, budget=STEPS, seed=3) for each in (engine, other)]
    assert without_times(results[0]) == without_times(results[1])


def test_a_trial_leaves_the_callers_random_numbers_alone(engine, blueprint):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    engine.run(blueprint, budget=STEPS, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_a_budget_in_seconds_is_kept_and_counts_steps_alone(engine, blueprint):
    def slow(point) -> bool:
        time.sleep(0.3)
        return True

    result = engine.run(blueprint, budget=Budget.parse("1s"), seed=0, on_point=slow)
    assert result.outcome == "completed"
    # Only bounds that a busy machine keeps too: a step may be put off for as long as the machine likes.
    assert result.training_seconds > 0.7
    assert result.wall_seconds - result.training_seconds >= 0.3 * len(result.curve) > 0.5


def test_the_caller_can_stop_a_trial(engine, blueprint):
    points = []

    def enough(point) -> bool:
        points.append(point)
        return False

    result = engine.run(blueprint, budget=STEPS, seed=0, on_point=enough)
    assert (result.outcome, result.steps) == ("stopped", 6)
    assert result.reason == "It was told to stop early."
    assert result.curve == tuple(points)
    assert result.top1 == points[0].accuracy


def test_what_the_caller_raises_passes_through(engine, blueprint):
    def broken(point) -> bool:
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        engine.run(blueprint, budget=STEPS, seed=0, on_point=broken)


def test_an_interruption_passes_through(engine):
    def interrupted() -> nn.Module:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.train(interrupted, budget=STEPS, seed=0)


class Exploding(nn.Module):
    """Fine at first; its weights overflow after a few steps."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return self.linear(images.flatten(1)) * (float("inf") if self.calls > 8 else 1.0)


def test_a_loss_that_is_not_finite_is_a_failure_with_its_step(engine):
    result = engine.train(Exploding, budget=STEPS, seed=0)
    assert (result.outcome, result.cause) == ("failed", "non_finite")
    assert result.reason == "After 7 steps the training loss became infinite or not a number."
    assert result.steps == 7


def test_a_learning_rate_that_diverges_is_a_failure(digits, quick, blueprint):
    wild = TrialEngine(
        digits,
        resolution=8,
        recipe=quick.with_settings(learning_rate=1e30, optimizer="sgd", warmup=0.0),
        device="cpu",
    )
    result = wild.run(blueprint, budget=STEPS, seed=0)
    assert (result.outcome, result.cause) == ("failed", "non_finite")


def test_a_network_too_large_for_the_memory_is_infeasible_and_the_engine_goes_on(engine, blueprint):
    def huge() -> nn.Module:
        return nn.Linear(10**7, 10**7)

    result = engine.train(huge, budget=STEPS, seed=0)
    assert (result.outcome, result.cause) == ("infeasible", "out_of_memory")
    assert result.reason.startswith("It does not fit the memory of cpu")
    assert (result.top1, result.steps, result.curve) == (None, 0, ())
    assert engine.run(blueprint, budget=STEPS, seed=0).outcome == "completed"


def test_memory_that_runs_out_on_a_gpu_is_infeasible_too(engine):
    def full() -> nn.Module:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    assert engine.train(full, budget=STEPS, seed=0).cause == "out_of_memory"


def test_the_machines_memory_and_a_broken_image_have_causes_of_their_own(engine):
    def hungry() -> nn.Module:
        raise MemoryError

    def unreadable() -> nn.Module:
        raise DataError("The image cat.png cannot be read.")

    hungry_result = engine.train(hungry, budget=STEPS, seed=0)
    assert (hungry_result.outcome, hungry_result.cause) == ("failed", "host_memory")
    data_result = engine.train(unreadable, budget=STEPS, seed=0)
    assert (data_result.outcome, data_result.cause) == ("failed", "data")
    assert data_result.reason == "The image cat.png cannot be read."


def test_any_other_exception_is_a_failure_that_names_its_place(engine):
    class Broken(Exploding):
        def forward(self, images):
            raise IndexError("no such channel")

    result = engine.train(Broken, budget=STEPS, seed=0)
    assert (result.outcome, result.cause) == ("failed", "exception")
    assert result.reason.startswith("IndexError: no such channel (test_training_engine.py, line ")
    assert result.reason.endswith("in forward)")


def test_a_blueprint_for_other_images_is_refused(engine, colour_blueprint):
    with pytest.raises(BlueprintError, match="8, 1 and 10"):
        engine.run(colour_blueprint, budget=STEPS, seed=0)


def test_warm_up_changes_neither_weights_nor_statistics(engine):
    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
            self.initial = {name: value.clone() for name, value in self.body.state_dict().items()}
            self.at_call: list[bool] = []

        def forward(self, images):
            state = self.body.state_dict()
            self.at_call.append(all(torch.equal(state[name], value) for name, value in self.initial.items()))
            return self.body(images)

    built = []

    def build() -> nn.Module:
        built.append(Watched())
        return built[0]

    engine.train(build, budget=Budget.parse("2steps"), seed=0)
    # Two steps of warm-up, the second with changed weights; then the run, from the initial ones again.
    assert built[0].at_call[:4] == [True, False, True, False]


def test_few_classes_have_no_top5_and_few_images_are_one_batch(quick, wider):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=generator)
    few = ImageSet(images, torch.arange(12) % 3)
    engine = TrialEngine(Splits(few, few, ("a", "b", "c")), resolution=8, recipe=quick, device="cpu")
    result = engine.run(wider(4, num_classes=3), budget=Budget.parse("2epochs"), seed=0)
    assert (result.outcome, result.top5, result.steps) == ("completed", None, 2)


@pytest.mark.parametrize("resolution", [8, 16, 24])
def test_images_are_brought_to_the_networks_resolution(digits, quick, wider, resolution):
    engine = TrialEngine(digits, resolution=resolution, recipe=quick, device="cpu")
    result = engine.run(wider(4, resolution=resolution), budget=Budget.parse("4steps"), seed=0)
    assert result.outcome == "completed"


def test_the_batch_size_can_be_given_with_the_engine(digits, quick, blueprint):
    engine = TrialEngine(digits, resolution=8, recipe=quick, device="cpu", batch_size=100)
    assert engine.run(blueprint, budget=Budget.parse("1epochs"), seed=0).steps == 14


def test_threads_are_those_asked_for(digits, quick):
    TrialEngine(digits, resolution=8, recipe=quick, device="cpu", threads=2)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"channels_last": False, "dtype": "bfloat16"},
        {"optimizer": "sgd", "learning_rate": 0.2, "clip_norm": 1.0},
        {"average_span": 0.0, "schedule": "cosine", "test_flip": True},
        {"progressive_start": 0.5, "progressive_until": 0.6, "crop": "resized"},
        {"rotate": 15.0, "shear": 10.0, "brightness": 0.2, "contrast": 0.2, "erase": 0.3},
        {"schedule": "plateau", "evaluations": "epoch", "until": "epoch_end"},
    ],
)
def test_every_kind_of_recipe_trains(digits, quick, blueprint, settings):
    engine = TrialEngine(digits, resolution=8, recipe=quick.with_settings(**settings), device="cpu")
    result = engine.run(blueprint, budget=Budget.parse("1epochs"), seed=0)
    assert result.outcome == "completed", result.reason
    assert math.isfinite(result.curve[-1].loss)


def test_the_papers_recipe_finishes_its_epoch_and_is_judged_after_each(colour_digits, colour_blueprint):
    engine = TrialEngine(colour_digits, resolution=8, recipe=load_recipe("paper"), device="cpu")
    result = engine.run(colour_blueprint, budget=Budget.parse("20steps"), seed=0)
    assert (result.outcome, result.steps) == ("completed", 28)
    assert [point.epoch for point in result.curve] == [1.0, 2.0]


def test_the_second_trial_of_a_warm_engine_starts_at_once(engine, blueprint):
    engine.run(blueprint, budget=Budget.parse("1steps"), seed=0)
    before = time.process_time()  # of this process alone: a busy machine does not lengthen it
    engine.run(blueprint, budget=Budget.parse("1steps"), seed=1)
    assert time.process_time() - before < 2.0


@pytest.mark.parametrize("build", [Exploding, lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))])
def test_a_trials_network_is_gone_when_it_ends(engine, build):
    """Not when Python next looks for garbage: on a GPU the next trial would find half the memory."""
    alive = []

    def watched() -> nn.Module:
        network = build()
        alive.append(weakref.ref(network))
        return network

    gc.disable()
    try:
        engine.train(watched, budget=STEPS, seed=0)
        assert alive[0]() is None
    finally:
        gc.enable()


class Frozen(nn.Module):
    """Its process does not run for a while in one step, as one that is stopped."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.seconds = seconds
        self.calls = 0

    def forward(self, images):
        self.calls += self.training
        if self.calls == 40 and self.training:
            time.sleep(self.seconds)
        return self.linear(images.flatten(1))


class Judged(nn.Module):
    """Takes its time over images that it is judged by, and counts them for each evaluation."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.seconds = seconds
        self.counts: list[int] = []
        self.trained = True

    def forward(self, images):
        if not self.training:
            self.counts += [0] if self.trained else []
            self.counts[-1] += len(images)
            time.sleep(self.seconds)
        self.trained = self.training
        return self.linear(images.flatten(1))


def judged(digits, recipe, network: Judged, budget: str, **settings) -> TrialResult:
    engine = TrialEngine(digits, resolution=8, recipe=recipe, device="cpu")
    return engine.train(lambda: network, budget=Budget.parse(budget), seed=0, **settings)


@pytest.fixture
def sharing(quick):
    """A recipe whose evaluations may take a hundredth of the budget, the interim ones at most forty images."""
    return quick.with_settings(evaluations=3, interim_images=40, evaluation_share=0.01, average_span=0.0)


def test_a_slow_network_is_judged_by_fewer_images_where_its_budget_is_a_time(digits, sharing):
    slow, quick = Judged(0.02), Judged(0.0)
    judged(digits, sharing, slow, "0.2s")
    judged(digits, sharing.with_settings(evaluation_share=1.0), quick, "2s")
    assert len(digits.validation) == 397
    assert slow.counts == [16, 16, 20], "a tenth of the interim images, in a batch of 16, and half of them in the end"
    assert quick.counts == [40, 40, 397]


def test_results_that_can_be_repeated_are_of_all_images(digits, sharing):
    for budget, settings in (("6steps", {}), ("0.2s", {"patience": 9})):
        network = Judged(0.02)
        judged(digits, sharing, network, budget, **settings)
        assert network.counts[-1] == 397
    unlimited = Judged(0.02)
    judged(digits, sharing.with_settings(evaluation_share=0.0), unlimited, "0.2s")
    assert unlimited.counts == [40, 40, 397]


def test_a_recipe_without_a_share_is_written_as_before_there_was_one(sharing):
    plain = sharing.with_settings(evaluation_share=0.0)
    assert "evaluation_share" not in plain.to_dict()
    assert type(plain).from_dict(plain.to_dict()) == plain
    assert type(plain).from_dict(sharing.to_dict()) == sharing


def test_a_trial_whose_process_was_stopped_for_a_while_is_no_result(engine):
    result = engine.train(lambda: Frozen(3.2), budget=Budget.parse("20s"), seed=0)
    assert (result.outcome, result.cause, result.steps) == ("failed", "interrupted", 38)
    assert "did not run for" in result.reason
    # By steps every trial gets the same.
    assert engine.train(lambda: Frozen(3.2), budget=Budget.parse("50steps"), seed=0).outcome == "completed"


def test_an_estimate_that_falls_again_brings_no_second_evaluation(digits, quick, blueprint, monkeypatch):
    """The clock extrapolates between readings; where it read less than it had thought, a due time was met twice."""
    engine = TrialEngine(digits, resolution=8, recipe=quick.with_settings(evaluations=3), device="cpu")
    fractions = iter([0.1, 0.34, 0.32, 0.34, 0.5, 0.7, 0.65, 0.68, 0.9, *[1.0] * 100])
    monkeypatch.setattr(BudgetClock, "fraction", property(lambda _: next(fractions)))
    result = engine.run(blueprint, budget=Budget.parse("9steps"), seed=0)
    assert [point.step for point in result.curve] == [2, 6, 9]


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", ""])
def test_a_device_that_is_none_is_refused(name):
    with pytest.raises(DeviceError, match="auto, cpu, cuda, cuda:N or mps"):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(DeviceError, match="--device cpu"):
        resolve_device("cuda")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU")
def test_an_apple_gpu_that_is_not_there_is_refused():
    with pytest.raises(DeviceError, match="Apple GPU"):
        resolve_device("mps")


def test_devices_resolve():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.soak
def test_compiling_is_outside_the_budget_and_a_network_is_compiled_once(digits, quick, blueprint, wider):
    """A minute of compiling, for which a compiler must be on the machine."""
    counters = pytest.importorskip("torch._dynamo.utils").counters
    engine = TrialEngine(digits, resolution=8, recipe=quick.with_settings(compile=True), device="cpu")

    def compile_and_train(network: Blueprint, seed: int) -> tuple[int, TrialResult]:
        counters.clear()
        result = engine.run(network, budget=Budget.parse("10steps"), seed=seed)
        assert result.outcome == "completed", result.reason
        return counters["stats"]["unique_graphs"], result

    first, first_result = compile_and_train(blueprint, 0)
    again, _ = compile_and_train(blueprint, 1)
    other, _ = compile_and_train(wider(8), 0)
    assert first > 0
    assert again == 0
    assert other > 0
    assert first_result.training_seconds < first_result.wall_seconds / 2
