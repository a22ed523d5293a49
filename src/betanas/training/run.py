"""One training run: a network, its optimiser, batches and clock, from random weights to the last evaluation."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from betanas.data.images import Images, ImageSet
from betanas.training.augmentation import Augmentation, Standardise
from betanas.training.batches import BatchStream
from betanas.training.budget import Budget
from betanas.training.clock import READING_INTERVAL, BudgetClock
from betanas.training.device import synchronise, training_dtype, tuning_pays
from betanas.training.evaluation import Glance, Score, evaluate, score_of
from betanas.training.failure import InterruptedTrainingError, NonFiniteLossError
from betanas.training.graphs import Graphs
from betanas.training.optimisation import Rate, WeightAverage, build_optimizer, reset_state, restore_state
from betanas.training.options import EngineOptions
from betanas.training.padding import pad_channels
from betanas.training.pointwise import use_products
from betanas.training.processes import OneProcess, Processes
from betanas.training.recipe import Recipe
from betanas.training.result import CurvePoint
from betanas.training.step import EagerStep, Inputs, Step, prepared_step
from betanas.training.teaching.loss import distillation_loss, teacher_share

# Resolutions that a progressive run passes through, the full one included. Each is a shape to tune kernels
# for.
_PROGRESSIVE_STAGES = 4

# A progressive run never goes below this: the feature maps of smaller images shrink to a pixel long before the last
# layer.
_LEAST_SIZE = 16

# Of the seconds that evaluations may take together, the part that each but the last one has; and how many images are
# looked at however long they take, before the end and in the end, as parts of those that the recipe allows before it.
_INTERIM_SECONDS, _INTERIM_IMAGES, _FINAL_IMAGES = 0.05, 0.1, 0.5

# A trial whose process was stopped for more than this share of its budget is trained again: what it did around the gap
# is not what an equal budget gives.
_GAP_SHARE = 0.05


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
        options: how networks are run on the device.
        answers: a teacher's, float16, shape [training images, views, classes]; None to learn from the labels alone.
        forgives_gaps: whether time in which the process did not run is left out of a budget in seconds, instead of
            ending the run.
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
        options: EngineOptions = EngineOptions(),  # noqa: B008 - it is frozen
        answers: Tensor | None = None,
        forgives_gaps: bool = False,
    ) -> None:
        self.network = network
        self.material = material
        self.recipe = recipe
        self.processes = processes
        self._device = material.device
        self._options = options
        bfloat16 = training_dtype(recipe.dtype, self._device) == "bfloat16"
        self._autocast = torch.bfloat16 if bfloat16 else None
        self._memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        for module in network.modules():
            if isinstance(module, StochasticDepth):
                module.p *= recipe.stochastic_depth
        if options.channel_multiple > 1:
            pad_channels(network, options.channel_multiple)
        if options.pointwise_products and recipe.channels_last:
            use_products(network)
        network.to(memory_format=self._memory_format)
        network.train()
        self._average = WeightAverage(network, recipe.average_span) if recipe.average_span > 0 else None
        if recipe.compile:
            network.compile(dynamic=False)
        self._trained = processes.wrap(network)
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        augmentation = Augmentation(recipe, material.standardise, side=material.side)
        self._stream = BatchStream(
            material.train,
            augmentation,
            batch_size=recipe.batch_size,
            seed=seed,
            share=processes.share,
            device=self._device,
            answers=None if answers is None else answers.to(self._device),
        )
        # On the device, and filled before each step: a recorded step reads it where it lies.
        self._teacher_share = torch.full((), recipe.teacher_share, device=self._device)
        self._taught = answers is not None
        graphs, refusal = options.graphs(self._device), ""
        if processes.share.size > 1:
            refusal = "several processes exchange gradients"
        elif augmentation.asks_the_device:
            refusal = "its augmentation groups images on the processor"
        self._optimizer = build_optimizer(network, recipe, self._device, capturable=graphs is not None and not refusal)
        self._rate = Rate(self._optimizer, recipe)
        self._sizes = training_sizes(recipe, material.resolution)
        if not options.gains_from_small_images(
            self._device, batch_size=self._stream.batch_size, resolution=material.resolution
        ):
            self._sizes = self._sizes[-1:]
        self._loss = torch.zeros((), device=self._device)
        self._loss_steps = 0
        self._judged_step = -1
        self._evaluated = 0
        self._forgives_gaps = forgives_gaps
        self._order = _order(material.validation)
        self._step: Step = EagerStep(_nothing, "not prepared")
        self._prepare(graphs, refusal)
        self.clock = BudgetClock(
            budget,
            steps_per_epoch=self._stream.steps_per_epoch,
            until=recipe.until,
            expected_step=self._step_seconds,
            reading_interval=1 if self._device.type == "cpu" else READING_INTERVAL,
            synchronise=partial(synchronise, self._device),
            agree=processes.maximum,
            notices_gaps=isinstance(material.train, ImageSet),
        )
        if self._device.type == "cuda" and tuning_pays(self.clock.expected_seconds):
            torch.backends.cudnn.benchmark = True  # until the engine's flags are put back
            self._prepare(graphs, refusal)
        self._optimizer.zero_grad(set_to_none=True)
        # Anew, since compression by PowerSGD remembers the gradients of the warm-up; the old wrapper goes first, or
        # both would reduce every gradient.
        self._trained = network
        self._trained = processes.wrap(network)

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
            InterruptedTrainingError: the process did not run for a good part of its budget of seconds.
        """
        clock = self.clock
        # What decodes is started, and every process has a batch in hand, before the clock is.
        self._stream.start()
        self.processes.maximum(0.0)
        on_clock()
        while clock.goes_on():
            clock.start()
            self._run_step()
            if clock.count_step():
                self._check_loss()
                self._check_gap()
            # Counted, since the fraction of the budget is an estimate that may fall again when the clock is read.
            if (due := self._evaluations_due()) > self._evaluated and clock.goes_on():
                self._evaluated = due
                yield self.judge(final=False)
        if self._judged_step != clock.steps:
            yield self.judge(final=True)

    def judge(self, *, final: bool) -> Evaluation:
        """Evaluate now, outside the budget: on all validation images, or on the few of an interim evaluation."""
        self.clock.pause()
        self._check_loss()
        score = self._judged(final=final)
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
        return Evaluation(point, score, whole=score.images >= len(self.material.validation))

    def close(self) -> None:
        """End the processes that decode, where images are streamed, and let go of what was recorded.

        A step's work is the run's own: the circle would keep the network and a graph's memory until Python looks for
        garbage, in the middle of the next trial.
        """
        self._stream.close()
        self._step = EagerStep(_nothing, "the run is over")

    def _judged(self, *, final: bool) -> Score:
        """How well the evaluated network does on the validation images, or on as many as an evaluation may look at."""
        recipe, images, budget = self.recipe, self.material.validation, self.clock.budget
        few = recipe.interim_images or len(images)
        in_memory = self._device.type == "cpu" and isinstance(images, ImageSet)
        if not (recipe.evaluation_share and budget.unit == "seconds" and in_memory):
            return self.score(images if final or few >= len(images) else images.subset(self._order[:few]))
        seconds, times = recipe.evaluation_share * budget.amount, max(self._planned_evaluations() - 1, 0)
        if not final:
            least = max(1, round(_INTERIM_IMAGES * few))
            return self.score(images, Glance(self._order[:few], least, _INTERIM_SECONDS * seconds))
        left = max(1.0 - _INTERIM_SECONDS * times, 0.5)
        return self.score(images, Glance(self._order, max(1, round(_FINAL_IMAGES * few)), left * seconds))

    def score(self, images: Images, glance: Glance | None = None) -> Score:
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
            batch_size=self._stream.batch_size if self._options.spares_shapes(self._device) else None,
            glance=glance,
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
            "evaluated": self._evaluated,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another run stood."""
        self.network.load_state_dict(state["network"])
        if self._average is not None:
            self._average.network.load_state_dict(state["average"])
        restore_state(self._optimizer, state["optimizer"])
        self._rate.load_state_dict(state["rate"])
        self._stream.load_state_dict(state["stream"])
        self.clock.load_state_dict(state["clock"])
        self._judged_step = self.clock.steps
        # Checkpoints of earlier versions do not say; they are written at evaluations.
        self._evaluated = int(state.get("evaluated", self._evaluations_due()))

    def _run_step(self) -> None:
        fraction = self.clock.next_fraction
        self._rate.set(fraction)
        if self._taught:
            self._teacher_share.fill_(teacher_share(self.recipe, fraction))
        self._step(self._stream.fetch(), _size_at(self._sizes, fraction, self.recipe))
        self._loss_steps += 1
        # Not part of a recorded step: its weight changes from step to step, and it is a few kernels in one of five.
        if self._average is not None:
            self._average.update(self.clock.steps + 1, self.clock.expected_steps)

    def _learn(self, inputs: Inputs, size: int) -> None:
        """A step's work on the device, which reads and writes the same memory every time."""
        images, labels, answers = self._stream.augment(inputs, size)
        # Before the forward pass: the last step's gradients would otherwise lie beside its activations.
        self._optimizer.zero_grad(set_to_none=True)
        images = images.contiguous(memory_format=self._memory_format)
        # No weight is used twice, so there is nothing to remember in another type; and a recorded step must not.
        with torch.autocast(
            self._device.type, dtype=self._autocast, enabled=self._autocast is not None, cache_enabled=False
        ):
            logits = self._trained(images)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)
        if answers is not None:
            taught = distillation_loss(logits.float(), answers.float(), self.recipe.teacher_temperature)
            loss = torch.lerp(loss, taught, self._teacher_share)
        torch.autograd.backward(loss)
        if self.recipe.clip_norm > 0:
            nn.utils.clip_grad_norm_(self._parameters, self.recipe.clip_norm)
        self._optimizer.step()
        self._loss += loss.detach()

    def _prepare(self, graphs: Graphs | None, refusal: str) -> None:
        """Make a first step at every training size, and time one, on state that is thrown away.

        That pays for allocations, the choice of kernels, compilation and recording. Weights, optimiser and random
        numbers are afterwards what they were before.
        """
        # A processor chooses no kernels by trial: one resolution is enough, and the next trial starts sooner.
        every = self._device.type != "cpu" or self.recipe.compile or graphs is not None
        sizes = self._sizes if every else self._sizes[:1]
        before = copy.deepcopy(self.network.state_dict())
        random = self._stream.generator.get_state()
        inputs = self._stream.example(self.material.first)
        cuda = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            self._step = prepared_step(
                self._learn,
                graphs=graphs,
                refusal=refusal,
                generators=[self._stream.generator],
                sizes=sizes[::-1],
                inputs=inputs,
            )
            synchronise(self._device)
            started = time.perf_counter()
            self._step(inputs, sizes[0])
            synchronise(self._device)
            self.stepping = self._step.words
            self._step_seconds = self.processes.maximum(time.perf_counter() - started)
        self.network.load_state_dict(before)
        self._stream.generator.set_state(random)
        reset_state(self._optimizer)
        self._loss.zero_()

    def _planned_evaluations(self) -> int:
        """About how many there are in all."""
        recipe = self.recipe
        return math.ceil(self.clock.epochs) if recipe.evaluations == "epoch" else recipe.evaluations

    def _evaluations_due(self) -> int:
        """Evaluations that should have happened by now, the final one aside."""
        if self.recipe.evaluations == "epoch":
            return math.floor(self.clock.epochs + 1e-9)
        return math.floor(self.clock.fraction * self.recipe.evaluations + 1e-9)

    def _check_gap(self) -> None:
        budget, gap = self.clock.budget, self.clock.gap
        if not self._forgives_gaps and budget.unit == "seconds" and gap > _GAP_SHARE * budget.amount:
            raise InterruptedTrainingError(f"its process did not run for {gap:.1f} seconds of its budget of {budget}")

    def _check_loss(self) -> None:
        # A loss that was not finite once leaves the sum so.
        if not math.isfinite(self._loss.item()):
            raise NonFiniteLossError("the training loss became infinite or not a number")


def _nothing(inputs: Inputs, size: int) -> None:
    """What is left of a step when its run is over."""


def _order(validation: Images) -> torch.Tensor:
    """In which evaluations look at images: drawn once and for all, so that the curves of all trials compare."""
    order = torch.randperm(len(validation), generator=torch.Generator().manual_seed(0))
    return order.to(validation.labels.device)


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
