"""One training run: a network, its optimiser, batches and clock, from random weights to the last evaluation."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from betanas.data.images import Images
from betanas.training.augmentation import Augmentation, Standardise
from betanas.training.batches import BatchStream
from betanas.training.budget import Budget
from betanas.training.clock import READING_INTERVAL, BudgetClock
from betanas.training.device import synchronise, training_dtype
from betanas.training.evaluation import Score, evaluate, score_of
from betanas.training.failure import NonFiniteLossError
from betanas.training.optimisation import Rate, WeightAverage, build_optimizer
from betanas.training.processes import OneProcess, Processes
from betanas.training.recipe import Recipe
from betanas.training.result import CurvePoint

# Resolutions that a progressive run passes through, the full one included. Each is a shape to tune kernels
# for.
_PROGRESSIVE_STAGES = 4

# A progressive run never goes below this: the feature maps of smaller images shrink to a pixel long before the last
# layer.
_LEAST_SIZE = 16

# Steps of the warm-up at each resolution: the first pays for allocations and kernel choice, the second is
# timed.
_WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Material:
    """What runs share: images, and how they are prepared.

    Attributes:
        device: where the training happens.
        train: what is trained on: on the device, in the machine's memory, or streamed from disk.
        validation: what runs are judged on, likewise.
        first: what the steps before the clock train on: the training images, or a few of them where those are streamed.
        classes: their names, in label order.
        resolution: side of the network's input, in pixels.
        standardise: from bytes to the network's floats.
    """

    device: torch.device
    train: Images
    validation: Images
    first: Images
    classes: tuple[str, ...]
    resolution: int
    standardise: Standardise

    @property
    def num_classes(self) -> int:
        """Classes to tell apart."""
        return len(self.classes)

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return self.train.shape[1]

    @property
    def side(self) -> int:
        """Side of the stored images, in pixels."""
        return self.train.shape[-1]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation during training found.

    Attributes:
        point: of the learning curve.
        score: of the evaluated network.
        whole: whether all validation images were judged: others do not compare with the final evaluation.
    """

    point: CurvePoint
    score: Score
    whole: bool


class TrainingRun:
    """Trains one network under a budget.

    Args:
        network: with its initial weights, on the material's device; trained in place.
        material: images to train and judge on.
        recipe: how to train.
        budget: how long.
        seed: of the order of images and their augmentation.
        processes: those that train the network together.
    """

    def __init__(
        self,
        network: nn.Module,
        material: Material,
        recipe: Recipe,
        budget: Budget,
        *,
        seed: int,
        processes: Processes = OneProcess(),  # noqa: B008 - it has no state
    ) -> None:
        self.network = network
        self.material = material
        self.recipe = recipe
        self.processes = processes
        self._device = material.device
        bfloat16 = training_dtype(recipe.dtype, self._device) == "bfloat16"
        self._autocast = torch.bfloat16 if bfloat16 else None
        self._memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self._sizes = training_sizes(recipe, material.resolution)
        for module in network.modules():
            if isinstance(module, StochasticDepth):
                module.p *= recipe.stochastic_depth
        network.to(memory_format=self._memory_format)
        network.train()
        self._average = WeightAverage(network, recipe.average_span) if recipe.average_span > 0 else None
        if recipe.compile:
            network.compile(dynamic=False)
        self._trained = processes.wrap(network)
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._optimizer = build_optimizer(network, recipe, self._device)
        self._rate = Rate(self._optimizer, recipe)
        self._stream = self._new_stream(material.train, seed)
        self._loss = torch.zeros((), device=self._device)
        self._loss_steps = 0
        self._judged_step = -1
        self._interim = _interim(material.validation, recipe.interim_images)
        expected_step = processes.maximum(self._warm_up(seed))
        # Anew, since compression by PowerSGD remembers the gradients of the warm-up; the old wrapper goes first, or
        # both would reduce every gradient.
        self._trained = network
        self._trained = processes.wrap(network)
        self.clock = BudgetClock(
            budget,
            steps_per_epoch=self._stream.steps_per_epoch,
            until=recipe.until,
            expected_step=expected_step,
            reading_interval=1 if self._device.type == "cpu" else READING_INTERVAL,
            synchronise=lambda: synchronise(self._device),
            agree=processes.maximum,
        )

    @property
    def evaluated_network(self) -> nn.Module:
        """What evaluations judge: the averaged weights where the recipe averages, otherwise the network."""
        return self._average.network if self._average is not None else self.network

    @property
    def images_per_step(self) -> int:
        """Images of an optimiser step, over all processes."""
        return self._stream.batch_size * self.processes.share.size

    def train(self, on_clock: Callable[[], None] = lambda: None) -> Iterator[Evaluation]:
        """Train until the budget is used up; gives every evaluation.

        Args:
            on_clock: called when everything is ready, before the first step that counts.

        Raises:
            NonFiniteLossError: the loss became infinite or not a number.
        """
        clock = self.clock
        # What decodes is started, and every process has a batch in hand, before the clock is.
        self._stream.start()
        self.processes.maximum(0.0)
        on_clock()
        while clock.goes_on():
            clock.start()
            due = self._evaluations_due()
            self._step()
            if clock.count_step():
                self._check_loss()
            if self._evaluations_due() > due and clock.goes_on():
                yield self.judge(final=False)
        if self._judged_step != clock.steps:
            yield self.judge(final=True)

    def judge(self, *, final: bool) -> Evaluation:
        """Evaluate now, outside the budget: on all validation images, or on the few of an interim evaluation."""
        self.clock.pause()
        self._check_loss()
        images = self.material.validation if final else self._interim
        score = self.score(images)
        self._rate.judge(score.loss)
        self._judged_step = self.clock.steps
        steps = torch.tensor(float(self._loss_steps), device=self._device)
        loss, count = self.processes.total(torch.stack([self._loss, steps])).tolist()
        self._loss.zero_()
        self._loss_steps = 0
        point = CurvePoint(
            seconds=self.clock.seconds,
            step=self.clock.steps,
            epoch=self.clock.epochs,
            loss=loss / max(count, 1.0),
            accuracy=score.top1,
        )
        return Evaluation(point, score, whole=images is self.material.validation)

    def close(self) -> None:
        """End the processes that decode, where images are streamed."""
        self._stream.close()

    def score(self, images: Images) -> Score:
        """How well the evaluated network does on images."""
        network = self.evaluated_network.eval()
        # Each process has seen its own images alone: norms are evaluated with the mean of their statistics.
        self.processes.average([b for b in network.buffers() if b.is_floating_point()])
        sums = evaluate(
            network,
            images,
            standardise=self.material.standardise,
            resolution=self.material.resolution,
            device=self._device,
            channels_last=self.recipe.channels_last,
            autocast=self._autocast,
            flip=self.recipe.test_flip,
            share=self.processes.share,
        )
        self.network.train()
        return score_of(self.processes.total(sums), num_classes=self.material.num_classes)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides how the run goes on, at an evaluation; all processes are to ask for it.

        It is the same in all of them: their norms' statistics, the one thing in which their networks differ, are
        replaced by the mean.
        """
        self.processes.average([buffer for buffer in self.network.buffers() if buffer.is_floating_point()])
        return {
            "network": self.network.state_dict(),
            "average": self._average.network.state_dict() if self._average is not None else {},
            "optimizer": self._optimizer.state_dict(),
            "rate": self._rate.state_dict(),
            "stream": self._stream.state_dict(),
            "clock": self.clock.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another run stood."""
        self.network.load_state_dict(state["network"])
        if self._average is not None:
            self._average.network.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self._optimizer.state.items():
            for name, value in moments.items():
                # Stored without its memory layout; the fused kernels want the parameter's.
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    moments[name] = torch.empty_like(parameter).copy_(value)
        self._rate.load_state_dict(state["rate"])
        self._stream.load_state_dict(state["stream"])
        self.clock.load_state_dict(state["clock"])
        self._judged_step = self.clock.steps

    def _new_stream(self, images: Images, seed: int) -> BatchStream:
        augmentation = Augmentation(self.recipe, self.material.standardise, side=self.material.side)
        return BatchStream(
            images,
            augmentation,
            batch_size=self.recipe.batch_size,
            seed=seed,
            share=self.processes.share,
            device=self._device,
        )

    def _step(self) -> None:
        fraction = self.clock.next_fraction
        self._rate.set(fraction)
        self._learn(self._stream, _size_at(self._sizes, fraction, self.recipe))
        if self._average is not None:
            self._average.update(self.clock.steps + 1, self.clock.expected_steps)

    def _learn(self, stream: BatchStream, size: int) -> None:
        images, labels = stream.next(size)
        # Before the forward pass: the last step's gradients would otherwise lie beside its activations.
        self._optimizer.zero_grad(set_to_none=True)
        images = images.contiguous(memory_format=self._memory_format)
        with torch.autocast(self._device.type, dtype=self._autocast, enabled=self._autocast is not None):
            logits = self._trained(images)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)
        torch.autograd.backward(loss)
        if self.recipe.clip_norm > 0:
            nn.utils.clip_grad_norm_(self._parameters, self.recipe.clip_norm)
        self._optimizer.step()
        self._loss += loss.detach()
        self._loss_steps += 1

    def _warm_up(self, seed: int) -> float:
        """Run a few steps on throw-away state; gives the seconds that a step takes at the first resolution.

        They pay for allocations, the choice of kernels and compilation. Weights, optimiser and random numbers
        are afterwards what they were before.
        """
        before = copy.deepcopy(self.network.state_dict())
        stream = self._new_stream(self.material.first, seed)
        cuda = [self._device] if self._device.type == "cuda" else []
        # A processor chooses no kernels by trial: one resolution is enough, and the next trial starts sooner.
        sizes = self._sizes if self._device.type != "cpu" or self.recipe.compile else self._sizes[:1]
        seconds = 0.0
        with torch.random.fork_rng(devices=cuda):
            for size in reversed(sizes):
                for _ in range(_WARM_UP_STEPS):
                    synchronise(self._device)
                    started = time.perf_counter()
                    self._learn(stream, size)
                    synchronise(self._device)
                    seconds = time.perf_counter() - started
        self.network.load_state_dict(before)
        self._optimizer.state.clear()
        self._optimizer.zero_grad(set_to_none=True)
        self._loss.zero_()
        self._loss_steps = 0
        return seconds

    def _evaluations_due(self) -> int:
        """Evaluations that should have happened by now, the final one aside."""
        if self.recipe.evaluations == "epoch":
            return math.floor(self.clock.epochs + 1e-9)
        return math.floor(self.clock.fraction * self.recipe.evaluations + 1e-9)

    def _check_loss(self) -> None:
        # A loss that was not finite once leaves the sum so.
        if not math.isfinite(self._loss.item()):
            raise NonFiniteLossError("the training loss became infinite or not a number")


def _interim(validation: Images, count: int) -> Images:
    """The images of interim evaluations: drawn once and for all, so that the curves of all trials compare."""
    if count == 0 or count >= len(validation):
        return validation
    order = torch.randperm(len(validation), generator=torch.Generator().manual_seed(0))
    return validation.subset(order[:count].to(validation.labels.device))


def training_sizes(recipe: Recipe, resolution: int) -> tuple[int, ...]:
    """The training resolutions of a run, from the first to the full one."""
    if recipe.progressive_start >= 1.0 or recipe.progressive_until <= 0.0:
        return (resolution,)
    # Multiples of an eighth keep feature maps at sizes that halve evenly where the full resolution does.
    grain = max(1, resolution // 8)
    first = min(float(resolution), max(_LEAST_SIZE, recipe.progressive_start * resolution))
    shares = [stage / (_PROGRESSIVE_STAGES - 1) for stage in range(_PROGRESSIVE_STAGES)]
    sizes = [max(grain, round((first + share * (resolution - first)) / grain) * grain) for share in shares[:-1]]
    return tuple(sorted({*(size for size in sizes if size >= _LEAST_SIZE), resolution}))


def _size_at(sizes: tuple[int, ...], fraction: float, recipe: Recipe) -> int:
    if len(sizes) == 1 or fraction >= recipe.progressive_until:
        return sizes[-1]
    return sizes[int(fraction / recipe.progressive_until * (len(sizes) - 1))]
