"""What a recorded step may do, and that it goes on doing what an eager one does, replayed without its Python."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from recorded_operations import ReplayedGraphs
from torch import Tensor, nn
from typing_extensions import override

from betanas.blueprint import plain_network
from betanas.data.images import Splits
from betanas.models.architecture import build_network
from betanas.spaces import get_space
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.options import EngineOptions
from betanas.training.result import TrialResult

DIGITS = tuple("0123456789")
SIZES = {"resolution": 16, "num_classes": 10, "in_channels": 3}


def trained(
    splits, recipe, build: Callable[[], nn.Module], steps: str = "6steps", **options
) -> tuple[TrialResult, ...]:
    """By an engine that runs steps eagerly, and by one that replays them."""
    return tuple(
        TrialEngine(
            splits, resolution=16, recipe=recipe, device="cpu", options=EngineOptions(graphs=graphs, **options)
        ).train(build, budget=Budget.parse(steps), seed=3)
        for graphs in (lambda _: None, lambda _: ReplayedGraphs())
    )


def assert_alike(eager: TrialResult, replayed: TrialResult) -> None:
    """Not to the last bit: a recorded step's rate is a float32 tensor."""
    assert (eager.outcome, replayed.outcome) == ("completed", "completed"), (eager.reason, replayed.reason)
    assert replayed.stepping == "graph"
    assert [point.step for point in replayed.curve] == [point.step for point in eager.curve]
    assert [point.loss for point in replayed.curve] == pytest.approx([point.loss for point in eager.curve], rel=2e-3)


def of_space(name: str, blocks: str = "ordinary") -> Callable[[], nn.Module]:
    """A small network of a space."""
    space = get_space(name, blocks=blocks)
    row = space.from_unit(torch.full((1, len(space.free)), 0.15).numpy())
    (blueprint,) = space.blueprints(row, **SIZES)
    return blueprint.build


@pytest.mark.parametrize(
    "build",
    [
        of_space("betanet2"),
        of_space("betanet3"),
        of_space("betanet3", "lite-hardswish"),
        of_space("convnet"),
        plain_network("plain4", **SIZES).build,
        lambda: build_network({"network": "resnet20", **SIZES}),
    ],
    ids=["betanet2", "betanet3", "lite", "convnet", "plain4", "resnet20"],
)
def test_every_kind_of_network_can_be_recorded(colour_digits, quick, build):
    recipe = quick.with_settings(stochastic_depth=1.0, dtype="float32", batch_size=16)
    assert_alike(*trained(colour_digits, recipe, build, steps="3steps"))


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "learning_rate": 0.05, "clip_norm": 1.0, "decay_norms_and_biases": True},
        {"optimizer": "adam", "crop": "resized", "label_smoothing": 0.0, "schedule": "cosine"},
        {"brightness": 0.3, "contrast": 0.2, "saturation": 0.4, "erase": 0.2, "flip": 0.5},
        {"rotate": 10.0, "shear": 5.0, "channels_last": False},
        {"crop": "none", "progressive_start": 0.5, "progressive_until": 0.7, "dtype": "bfloat16"},
        {"first_layer_rate": 0.2, "warmup": 0.5, "average_span": 0.5},
    ],
    ids=["sgd", "adam", "colours", "turns", "sizes", "rates"],
)
def test_every_kind_of_recipe_can_be_recorded(colour_digits, quick, settings):
    recipe = quick.with_settings(**{"dtype": "float32", "batch_size": 16, "evaluations": 3, **settings})
    assert_alike(*trained(colour_digits, recipe, plain_network("plain4", **SIZES).build, steps="9steps"))


def test_a_plateau_lowers_a_recorded_step_s_rate_as_often_as_an_eager_one_s(colour_digits, quick):
    """Which has two groups of parameters, those of norms and biases by themselves."""
    few = Splits(*(part.subset(torch.arange(48)) for part in (colour_digits.train, colour_digits.validation)), DIGITS)
    recipe = quick.with_settings(
        schedule="plateau", evaluations="epoch", plateau_patience=0, batch_size=16, dtype="float32", learning_rate=0.05
    )
    eager, replayed = trained(few, recipe, plain_network("plain4", **SIZES).build, steps="18steps")
    assert_alike(eager, replayed)
    assert len(eager.curve) == 6


@pytest.mark.parametrize("options", [{"pointwise_products": True}, {"channel_multiple": 8}], ids=["products", "padded"])
def test_every_option_can_be_recorded(colour_digits, quick, options):
    recipe = quick.with_settings(batch_size=16, dtype="float32")
    assert_alike(*trained(colour_digits, recipe, of_space("betanet3"), steps="3steps", **options))


class Asking(nn.Module):
    """A network that does one thing more in its forward pass."""

    def __init__(self, ask: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 16 * 16, 10)
        self._ask = ask

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self._ask(self.linear(images.flatten(1)))


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda logits: logits * logits.mean().item(), "item asks for a value"),
        (lambda logits: logits if logits.sum() > 0 else -logits, "__bool__ asks for a value"),
        (lambda logits: logits * torch.tensor([1.0] * 10), "tensor brings values to the device"),
        (lambda logits: logits + len(logits.mean(0).tolist()), "tolist asks for values"),
        (lambda logits: logits.clone().index_put_((logits < 0,), torch.zeros(())), "waits for the device"),
        (lambda logits: logits + 0 * logits[logits > 0].sum(), "waits for the device"),
        (lambda logits: logits + len((logits > 0).nonzero()), "nonzero.default waits for the device"),
    ],
    ids=["item", "branch", "constant", "list", "masked put", "masked", "nonzero"],
)
def test_a_network_that_waits_stays_eager_and_says_why(colour_digits, quick, ask, reason):
    """And the tests above would find it."""
    recipe = quick.with_settings(batch_size=16)
    _, result = trained(colour_digits, recipe, lambda: Asking(ask), steps="2steps")
    assert (result.outcome, result.steps) == ("completed", 2)
    assert result.stepping.startswith("eager: ")
    assert reason in result.stepping


class Counting(nn.Module):
    """A network whose Python changes what it does from step to step."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 16 * 16, 10)
        self.steps = 0

    @override
    def forward(self, images: Tensor) -> Tensor:
        self.steps += self.training
        return self.linear(images.flatten(1)) / self.steps


def test_a_step_that_python_decides_anew_would_be_found(colour_digits, quick):
    recipe = quick.with_settings(batch_size=16, dtype="float32")
    eager, replayed = trained(colour_digits, recipe, Counting, steps="9steps")
    with pytest.raises(AssertionError):
        assert_alike(eager, replayed)


def test_a_recorded_step_holds_the_whole_step(colour_digits, quick):
    """From gathering the batch to the optimiser; the weight average alone stays outside."""
    graphs = ReplayedGraphs()
    engine = TrialEngine(
        colour_digits,
        resolution=16,
        recipe=quick.with_settings(batch_size=16, average_span=0.0),
        device="cpu",
        options=EngineOptions(graphs=lambda _: graphs),
    )
    # Any operation outside a replay would be seen; evaluations are, so there is none before the last step.
    assert engine.train(plain_network("plain4", **SIZES).build, budget=Budget(4, "steps"), seed=0).steps == 4
    assert graphs.log == ["rehearse", "capture", *["replay"] * 5]
    assert graphs.operations > 50
