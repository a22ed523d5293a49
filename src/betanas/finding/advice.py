"""One paragraph for the person who asked: what was found, how sure that is, what would help. Only what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from betanas.finding.finetuned import FineTuned
from betanas.finding.judging import Mistakes
from betanas.finding.look import Look, is_balanced
from betanas.intervals import MeanInterval
from betanas.quantities import format_bytes, format_count, format_latency, format_seconds

# Below these, what was measured says nothing: images that one pair of classes must account for, and points.
_LEAST_CONFUSED, _GAP, _GAIN = 3, 0.05, 0.01

# A network that was predicted within the limit may take so much longer.
_ALLOWED_LATENCY = 0.1

# A network that saw its images less often than this has not had its time.
_FEW_EPOCHS = 10.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything the advice rests on.

    Attributes:
        look: at the images.
        space: that was searched.
        trials: that were completed.
        resolution: of the network.
        params: its parameters.
        file_bytes: its weights on disk.
        validation: its accuracy on the validation images.
        validation_images: how many they are.
        test: its accuracy on the test images; None where there are none.
        test_images: how many they are.
        confirmed: the mean of its trainings with fresh seeds for a trial's budget; None where there were none.
        trial_seconds: training seconds of a trial.
        training_seconds: of the final training.
        epochs: that the final training saw.
        mistakes: what it gets wrong.
        finetuned: a pretrained network for a trial's seconds, where one was asked for.
        baseline: its name, where it is a plain network that learned more than all that were searched.
        predicted_latency, measured_latency: seconds of an answer; None without a latency table, and where its machine
            is another.
        latency_limit: most seconds that were asked for; None for no limit.
    """

    look: Look
    space: str
    trials: int
    resolution: int
    params: int
    file_bytes: int
    validation: float
    validation_images: int
    test: float | None
    test_images: int
    confirmed: MeanInterval | None
    trial_seconds: float
    training_seconds: float
    epochs: float
    mistakes: Mistakes
    baseline: str = ""
    finetuned: FineTuned | None = None
    predicted_latency: float | None = None
    measured_latency: float | None = None
    latency_limit: float | None = None


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """The 95% interval of an accuracy that was measured on some images (Wilson's)."""
    found = binomtest(round(accuracy * images), images).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)


def advise(measured: Measured) -> str:
    """The paragraph."""
    parts = (_found(measured), _latency(measured), _certainty(measured), _beside(measured), _help(measured))
    return " ".join(part for part in parts if part)


def _found(it: Measured) -> str:
    which = f"The winner of a search of {it.trials} trials"
    if it.baseline:
        which = f"None of {it.trials} trials learned more than {it.baseline}, a plain one trained beside them. It"
    return (
        f"{which} has {format_count(it.params)} parameters "
        f"({format_bytes(it.file_bytes)} on disk) and takes images of {it.resolution}x{it.resolution} pixels. "
        f"Trained for {format_seconds(it.training_seconds)}, {_accuracy(it)}"
    )


def _latency(it: Measured) -> str:
    if it.predicted_latency is None:
        return ""
    predicted = format_latency(it.predicted_latency)
    if it.measured_latency is None:
        return f"It is predicted to answer in {predicted} on the latency table's machine, which is not this one."
    said = f"It answers in {format_latency(it.measured_latency)}, measured here; {predicted} were predicted."
    limit = it.latency_limit
    if limit is None or it.measured_latency <= (1 + _ALLOWED_LATENCY) * limit:
        return said
    above = it.measured_latency / limit - 1.0
    return f"{said} That is {above:.0%} above the limit of {format_latency(limit)}: choose a lower --max-latency."


def _accuracy(it: Measured) -> str:
    part, accuracy, images = ("test", it.test, it.test_images) if it.test is not None else _validation(it)
    low, high = interval(accuracy, images)
    said = (
        f"it is right for {accuracy:.2%} of {images:,} {part} images "
        f"(95% interval {low:.2%} to {high:.2%}, from the number of images)."
    )
    if it.test is None:
        return (
            f"{said} These images chose the network too, since there is no test part: expect somewhat less on others."
        )
    return f"{said} They were looked at once, at the end; on the validation images it is {it.validation:.2%}."


def _validation(it: Measured) -> tuple[str, float, int]:
    return "validation", it.validation, it.validation_images


def _certainty(it: Measured) -> str:
    found = it.confirmed
    if found is None:
        return "It was not trained again with other seeds: how much of its lead is luck is not known."
    return (
        f"Trained anew for {format_seconds(it.trial_seconds)}, it reached {found.mean:.2%} on average "
        f"({found.words(lambda value: f'{value:.2%}')})."
    )


def _beside(it: Measured) -> str:
    tuned = it.finetuned
    if tuned is None:
        return ""
    low, high = interval(tuned.accuracy, tuned.images)
    return (
        f"Fine-tuned for {format_seconds(tuned.seconds)}, the pretrained {tuned.name} is right for "
        f"{tuned.accuracy:.2%} of the validation images (95% interval {low:.2%} to {high:.2%}), with "
        f"{format_count(tuned.params)} parameters and images of {tuned.resolution}x{tuned.resolution} pixels."
    )


def _help(it: Measured) -> str:
    hints = [*_time(it), *_images(it), *_classes(it), *_side(it)]
    return " ".join(hints) if hints else "Nothing that was measured says what would make it better."


def _time(it: Measured) -> Sequence[str]:
    if it.epochs < _FEW_EPOCHS:
        return [f"It saw each training image only {it.epochs:.2g} times: more time would help."]
    if it.confirmed is None or it.training_seconds < 2 * it.trial_seconds:
        return []
    gain = it.validation - it.confirmed.mean
    times = it.training_seconds / it.trial_seconds
    if gain > _GAIN:
        return [
            f"Training {times:.2g} times as long brought {100 * gain:.1f} points on the validation images: more time "
            "may bring more."
        ]
    return [
        f"Training {times:.2g} times as long brought no more than {100 * max(gain, 0):.1f} points: more time alone "
        "would hardly help."
    ]


def _images(it: Measured) -> Sequence[str]:
    gap = it.mistakes.train_accuracy - it.mistakes.accuracy
    if gap > _GAP:
        return [
            f"It is right for {it.mistakes.train_accuracy:.1%} of the images it was trained on and for "
            f"{it.mistakes.accuracy:.1%} of others: more images would help."
        ]
    return []


def _classes(it: Measured) -> Sequence[str]:
    said, wrong = [], it.mistakes
    if wrong.confused >= _LEAST_CONFUSED:
        said.append(
            f"It confuses {wrong.pair[0]} with {wrong.pair[1]} most: {wrong.confused} of {wrong.of} images. Look at "
            "those two for wrong labels, or add images of them."
        )
    look = it.look
    if not is_balanced(look) and wrong.weakest and look.counts[look.classes.index(wrong.weakest)] == min(look.counts):
        said.append(
            f"The class with the fewest images, {wrong.weakest}, is the weakest too ({wrong.weakest_right} of "
            f"{wrong.weakest_of} right): add images of it."
        )
    return said


def _side(it: Measured) -> Sequence[str]:
    if it.look.typical_side < 1.5 * it.resolution or it.validation > 0.99:
        return []
    return [
        f"The images are larger (median {it.look.typical_side} pixels) than what the network sees; whether more "
        f"would help was not measured: try --resolution {min(it.look.typical_side, 2 * it.resolution)}."
    ]
