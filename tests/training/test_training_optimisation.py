from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from betanas.training.optimisation import AVERAGE_EVERY, Rate, WeightAverage, build_optimizer, rate_at
from betanas.training.recipe import load_recipe
from betanas.training.run import training_sizes

FAST = load_recipe("fast")
CPU = torch.device("cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_optimisers_are_torchs_and_fused(name, kind):
    recipe = FAST.with_settings(optimizer=name, learning_rate=0.5, weight_decay=0.1, momentum=0.8)
    optimizer = build_optimizer(network(), recipe, CPU)
    assert type(optimizer).__name__ == kind
    group = optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["fused"]) == (0.5, 0.1, True)
    assert group.get("momentum", group.get("betas", (0,))[0]) == 0.8


def test_norms_and_biases_are_spared_or_not():
    spared = build_optimizer(network(), FAST.with_settings(weight_decay=0.1), CPU).param_groups
    shapes = [sorted(p.ndim for p in group["params"]) for group in spared]
    assert shapes == [[2, 4], [1, 1, 1, 1]]
    assert [group["weight_decay"] for group in spared] == [0.1, 0.0]
    settings = {"weight_decay": 0.1, "decay_norms_and_biases": True}
    whole = build_optimizer(network(), FAST.with_settings(**settings), CPU).param_groups
    assert [len(group["params"]) for group in whole] == [6]


def test_deeper_layers_learn_faster():
    layers = [nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)) for _ in range(10)]
    deep = nn.Sequential(*layers, nn.Linear(4, 2))
    recipe = FAST.with_settings(first_layer_rate=0.1)
    optimizer = build_optimizer(deep, recipe, CPU)
    Rate(optimizer, recipe).set(0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    found = [rates[id(p)] for p in deep.parameters()]
    full = recipe.learning_rate * rate_at(recipe, 0.5)
    assert found == sorted(found)
    assert found[0] == pytest.approx(0.1 * full)
    assert found[-2:] == [pytest.approx(full)] * 2
    assert max(found[:-2]) < full, "nothing but the head learns at the full rate"
    Rate(whole := build_optimizer(deep, FAST, CPU), FAST).set(0.5)
    assert {group["lr"] for group in whole.param_groups} == {FAST.learning_rate * rate_at(FAST, 0.5)}


def test_a_recorded_step_has_a_rate_for_each_depth():
    recipe = FAST.with_settings(first_layer_rate=0.01)
    optimizer = build_optimizer(network(), recipe, CPU, capturable=True)
    tensors = [group["lr"] for group in optimizer.param_groups]
    Rate(optimizer, recipe).set(1.0 - 1e-9)
    assert len({id(each) for each in tensors}) == len(tensors)
    assert all(group["lr"] is each for group, each in zip(optimizer.param_groups, tensors, strict=True))


@pytest.mark.parametrize(
    ("schedule", "fraction", "expected"),
    [
        ("linear", 0.1, 0.5),
        ("linear", 0.2, 1.0),
        ("linear", 0.6, 0.55),
        ("linear", 1.0, 0.1),
        ("cosine", 0.6, 0.55),
        ("cosine", 0.4, 0.1 + 0.9 * 0.8535533905932737),
        ("cosine", 1.0, 0.1),
        ("constant", 0.1, 0.5),
        ("constant", 0.9, 1.0),
    ],
)
def test_rates_by_hand(schedule, fraction, expected):
    recipe = FAST.with_settings(schedule=schedule, warmup=0.2, final_rate=0.1)
    assert rate_at(recipe, fraction) == pytest.approx(expected)


@given(
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
    warmup=st.sampled_from([0.0, 0.3, 1.0]),
    fraction=st.floats(0.0, 1.0, exclude_min=True),
)
def test_a_rate_is_a_share_of_the_highest(schedule, warmup, fraction):
    rate = rate_at(FAST.with_settings(schedule=schedule, warmup=warmup, final_rate=0.0), fraction)
    assert 0.0 <= rate <= 1.0


def test_a_plateau_lowers_the_rate_after_its_patience():
    recipe = load_recipe("paper")
    optimizer = build_optimizer(network(), recipe, CPU)
    rate = Rate(optimizer, recipe)
    rates = []
    for loss in [2.0, 1.0, *[1.0] * 7]:
        rate.judge(loss)
        rate.set(0.5)
        rates.append(optimizer.param_groups[0]["lr"])
    # Patience 5: the sixth evaluation without progress lowers it.
    assert rates == pytest.approx([1e-3] * 7 + [1e-4] * 2)


def test_a_plateau_survives_a_checkpoint():
    recipe = load_recipe("paper")
    first = build_optimizer(network(), recipe, CPU)
    rate = Rate(first, recipe)
    for _ in range(6):
        rate.judge(1.0)
    second = build_optimizer(network(), recipe, CPU)
    resumed = Rate(second, recipe)
    resumed.load_state_dict(rate.state_dict())
    for each in (rate, resumed):
        each.judge(1.0)
        each.set(0.5)
    assert first.param_groups[0]["lr"] == second.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_the_average_follows_weights_and_statistics_over_its_span():
    source = network()
    average = WeightAverage(source, span=0.1)
    with torch.no_grad():
        for tensor in (*source.parameters(), *source.buffers()):
            if tensor.is_floating_point():
                tensor.fill_(1.0)
    steps = 1000
    for step in range(1, steps + 1):
        average.update(step, steps)
    for tensor in (*average.network.parameters(), *average.network.buffers()):
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, torch.ones_like(tensor), atol=1e-3, rtol=0)
    with torch.no_grad():
        source[0].weight.fill_(2.0)
    # A span of 100 steps is 20 updates: after as many, 1 - (1 - 1/20)^20 of the change has arrived.
    for step in range(steps + 1, steps + 101):
        average.update(step, steps)
    arrived = average.network[0].weight.mean().item() - 1
    assert arrived == pytest.approx(1 - (1 - 1 / 20) ** 20, abs=0.01)
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())


def test_the_average_is_updated_seldom_and_at_the_end():
    source = network()
    average = WeightAverage(source, span=0.0001)
    with torch.no_grad():
        source[0].weight.fill_(5.0)
    average.update(AVERAGE_EVERY - 1, 100)
    assert not average.network[0].weight.eq(5.0).any()
    average.update(100 - 1, 99)
    assert average.network[0].weight.eq(5.0).all()


@pytest.mark.parametrize(
    ("resolution", "start", "until", "sizes"),
    [
        (32, 1.0, 0.5, (32,)),
        (32, 0.5, 0.0, (32,)),
        (32, 0.5, 0.5, (16, 20, 28, 32)),
        (224, 0.5, 0.5, (112, 140, 196, 224)),
        (8, 0.5, 0.5, (8,)),
        (24, 0.5, 0.5, (18, 21, 24)),
        (100, 0.9, 0.5, (96, 100)),
    ],
)
def test_progressive_runs_pass_through_a_few_sizes(resolution, start, until, sizes):
    recipe = FAST.with_settings(progressive_start=start, progressive_until=until)
    assert training_sizes(recipe, resolution) == sizes
