"""A step as a graph, with a stand-in for CUDA's: recording runs nothing, replaying runs what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.graphs import GraphRefusedError
from betanas.training.options import EngineOptions
from betanas.training.step import EagerStep, GraphedStep, prepared_step


class RecordedGraphs:
    """Replays by running the recorded work again: on the same memory, as a graph does."""

    def __init__(self, *, refuses: str = "") -> None:
        self.log: list[str] = []
        self.generators: Sequence[torch.Generator] = ()
        self._refuses = refuses

    def rehearse(self, work: Callable[[], None]) -> None:
        self.log.append("rehearse")
        work()

    def capture(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        self.log.append("capture")
        self.generators = generators
        if self._refuses:
            raise GraphRefusedError(self._refuses)

        def replay() -> None:
            self.log.append("replay")
            work()

        return replay


def engines(digits, recipe, graphs: RecordedGraphs, **options) -> tuple[TrialEngine, TrialEngine]:
    """One that runs eagerly, one that replays."""
    eager = TrialEngine(digits, resolution=8, recipe=recipe, device="cpu", options=EngineOptions(**options))
    settings = EngineOptions(graphs=lambda _: graphs, **options)
    return eager, TrialEngine(digits, resolution=8, recipe=recipe, device="cpu", options=settings)


def test_a_step_is_recorded_once_for_each_size_and_reads_its_inputs_where_they_were_recorded():
    seen, graphs = [], RecordedGraphs()

    def work(inputs, size) -> None:
        seen.append((inputs[0].data_ptr(), inputs[0].tolist(), size))

    step = GraphedStep(work, graphs, [torch.Generator()])
    for size in (32, 16):
        step.prepare((torch.tensor([0, 0]),), size)
    assert graphs.log == ["rehearse", "capture"] * 2
    assert len(graphs.generators) == 1
    seen.clear()
    for values, size in (([1, 2], 16), ([3, 4], 32), ([5, 6], 32)):
        step((torch.tensor(values),), size)
    assert graphs.log[4:] == ["replay"] * 3
    assert [(values, size) for _, values, size in seen] == [([1, 2], 16), ([3, 4], 32), ([5, 6], 32)]
    assert len({pointer for pointer, _, _ in seen}) == 1


@pytest.mark.parametrize(
    ("graphs", "refusal", "words"),
    [
        (RecordedGraphs(), "", "graph"),
        (None, "", "eager: the device has no graphs"),
        (RecordedGraphs(), "several processes", "eager: several processes"),
        (RecordedGraphs(refuses="it waits for the device"), "", "eager: it waits for the device"),
    ],
)
def test_the_record_says_how_steps_were_run_and_why(graphs, refusal, words):
    steps = []
    step = prepared_step(
        lambda _, size: steps.append(size), graphs=graphs, refusal=refusal, generators=[], sizes=(8, 4), inputs=()
    )
    assert step.words == words
    assert isinstance(step, GraphedStep if words == "graph" else EagerStep)
    steps.clear()
    step((), 4)
    assert steps == [4]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9},
        {"stochastic_depth": 1.0, "crop": "resized", "brightness": 0.3, "rotate": 10.0, "erase": 0.2},
        {"progressive_start": 0.5, "progressive_until": 0.7, "clip_norm": 1.0},
        {"schedule": "plateau", "evaluations": "epoch"},
    ],
)
def test_a_replayed_trial_learns_what_an_eager_one_does(digits, quick, blueprint, settings):
    """Not to the last bit: the rate is then a float32 tensor."""
    graphs = RecordedGraphs()
    eager, replayed = (
        engine.run(blueprint, budget=Budget.parse("50steps"), seed=4)
        for engine in engines(digits, quick.with_settings(**settings), graphs)
    )
    assert (eager.stepping, replayed.stepping) == ("eager: the device has no graphs", "graph")
    assert eager.steps == replayed.steps == 50
    assert [point.loss for point in replayed.curve] == pytest.approx([point.loss for point in eager.curve], rel=1e-3)
    assert graphs.log.count("replay") == 51, "one is timed before the clock starts"


def test_a_replayed_trial_draws_the_same_random_numbers(digits, quick, blueprint):
    """Of the augmentation and of stochastic depth: what every step is shown is equal, bit for bit."""
    shown: list[torch.Tensor] = []

    def watched() -> nn.Module:
        network = blueprint.build()
        network.register_forward_pre_hook(
            lambda module, given: shown.append(given[0].clone()) if module.training else None
        )
        return network

    recipe = quick.with_settings(stochastic_depth=1.0, crop="resized", contrast=0.2)
    seen = []
    for engine in engines(digits, recipe, RecordedGraphs()):
        shown.clear()
        assert engine.train(watched, budget=Budget.parse("6steps"), seed=1).outcome == "completed"
        seen.append(shown[-6:])
    assert all(len(each) == 50 for each in seen[0])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*seen, strict=True))


def test_a_loss_that_is_not_finite_and_a_lack_of_memory_are_noticed_in_a_graph_too(digits, quick):
    class Full(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, images):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    class Wild(Full):
        def forward(self, images):
            return self.linear(images.flatten(1)) * float("nan")

    _, engine = engines(digits, quick, RecordedGraphs())
    results = [engine.train(network, budget=Budget.parse("9steps"), seed=0) for network in (Full, Wild)]
    assert [(each.outcome, each.cause) for each in results] == [
        ("infeasible", "out_of_memory"),
        ("failed", "non_finite"),
    ]


def test_a_policy_that_groups_images_on_the_processor_stays_eager(digits, quick, blueprint):
    graphs = RecordedGraphs()
    recipe = quick.with_settings(policy="autoaugment-cifar10")
    _, engine = engines(digits, recipe, graphs)
    result = engine.run(blueprint, budget=Budget.parse("2steps"), seed=0)
    assert (result.outcome, graphs.log) == ("completed", [])
    assert result.stepping == "eager: its augmentation groups images on the processor"


def test_a_kept_training_goes_on_in_a_graph_as_it_would_have(digits, quick, blueprint, tmp_path):
    from betanas.training.job import Job, JobImages
    from betanas.training.kept import TrainingFolder

    class StopError(Exception):
        pass

    def stop(_) -> bool:
        raise StopError

    _, engine = engines(digits, quick, RecordedGraphs())
    job = Job(blueprint.to_dict(), JobImages("digits", "", 8), quick, Budget.parse("20steps"), keep=True)

    def train(name: str, on_point=None):
        folder = TrainingFolder(tmp_path / name, job, processes=engine.processes)
        return engine.train(blueprint.build, budget=job.budget, seed=0, folder=folder, on_point=on_point)

    whole = train("whole")
    with pytest.raises(StopError):
        train("stopped", stop)
    resumed = train("stopped")
    assert whole.stepping == resumed.stepping == "graph"
    assert [point.loss for point in resumed.curve] == [point.loss for point in whole.curve]
    assert resumed.top1 == whole.top1


class Shapes:
    """The distinct shapes that each convolution of a trial's networks is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
        real = nn.Conv2d._conv_forward

        def watched(module, images, weight, bias):
            self.seen.add((tuple(weight.shape), tuple(images.shape)))
            return real(module, images, weight, bias)

        monkeypatch.setattr(nn.Conv2d, "_conv_forward", watched)


def test_on_a_device_that_plans_convolutions_see_one_shape_each(digits, quick, wider, monkeypatch):
    """A GPU's set-up on this processor: no smaller images, evaluations in the training's batch shape."""
    blueprint = wider(8, resolution=32)
    recipe = quick.with_settings(progressive_start=0.5, progressive_until=0.7, batch_size=48, test_flip=True)
    counts = {}
    for few in (True, False):
        shapes = Shapes(monkeypatch)
        engine = TrialEngine(digits, resolution=32, recipe=recipe, device="cpu", options=EngineOptions(few_shapes=few))
        result = engine.run(blueprint, budget=Budget.parse("12steps"), seed=0)
        assert result.outcome == "completed", result.reason
        counts[few] = len(shapes.seen)
        monkeypatch.undo()
    convolutions = {
        (tuple(module.weight.shape)) for module in blueprint.build().modules() if isinstance(module, nn.Conv2d)
    }
    assert counts[True] <= 2 * len(convolutions), "a weight's shape may stand at two resolutions of the network"
    assert counts[False] >= 3 * counts[True]


def test_a_last_batch_that_is_filled_up_counts_its_own_images_alone(digits, blueprint):
    from betanas.training.evaluation import evaluate

    network = blueprint.build().eval()
    images = digits.validation.subset(torch.arange(70))

    def judge(**settings) -> torch.Tensor:
        return evaluate(network, images, standardise=lambda each: each.float() / 255, resolution=8, **settings)

    assert torch.allclose(judge(batch_size=32), judge())
    assert judge(batch_size=32)[3] == 70


def test_1x1_convolutions_as_products_give_the_same_numbers_and_weights(digits, quick, blueprint):
    recipe = quick.with_settings(dtype="float32")
    plain, products = (
        TrialEngine(
            digits, resolution=8, recipe=recipe, device="cpu", options=EngineOptions(pointwise_products=on)
        ).run(blueprint, budget=Budget.parse("20steps"), seed=0)
        for on in (False, True)
    )
    assert [point.loss for point in products.curve] == pytest.approx([point.loss for point in plain.curve], rel=1e-2)


def test_products_replace_plain_1x1_convolutions_alone():
    from betanas.training.pointwise import PointwiseConv2d, use_products

    kinds = {"kernel_size": 1}, {"kernel_size": 3}, {"kernel_size": 1, "stride": 2}, {"kernel_size": 1, "groups": 2}
    network = nn.Sequential(*(nn.Conv2d(4, 4, **kind) for kind in kinds))
    before = network.state_dict()
    images = torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    expected = network[0](images)
    use_products(network)
    assert [type(each) is PointwiseConv2d for each in network] == [True, False, False, False]
    found = network[0](images)
    assert torch.allclose(found, expected, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert network.state_dict().keys() == before.keys()
