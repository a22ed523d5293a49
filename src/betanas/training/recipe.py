"""Training recipes as data: everything that decides how a network is trained, in one flat table of settings.

The built-in recipes are the TOML files in `betanas/training/recipes`. A user's recipe is a TOML file too; it
names the recipe it starts from and what it changes:

    extends = "fast"
    learning_rate = 2e-3
    flip = 0.0
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from betanas.errors import RecipeError, did_you_mean
from betanas.files import read_document
from betanas.training.budget import Budget

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]

# Settings that earlier versions did not have.
_LATER = (
    "first_layer_rate",
    "evaluation_share",
    "teacher_share",
    "teacher_final_share",
    "teacher_temperature",
    "teacher_views",
)

_FOLDER = resources.files("betanas.training") / "recipes"


class Variant(BaseModel):
    """Settings that a recipe has on one kind of device, from a certain budget on.

    Batch size and learning rate change together: a larger batch makes fewer steps of the same budget.

    Attributes:
        device: `cuda`, `mps` or `cpu`.
        least_seconds: training seconds from which on the variant is taken.
        batch_size, learning_rate: in place of the recipe's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    device: Literal["cuda", "mps", "cpu"]
    least_seconds: NonNegative
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Positive


class Recipe(BaseModel):
    """How a network is trained (section 8 of `betanet.md` for the report's own).

    "Fraction of the budget" below is of training seconds, steps or epochs, whichever the budget counts.

    Attributes:
        name: what the recipe is called in records.
        optimizer: `adam`, `adamw` or `sgd` (with Nesterov momentum).
        learning_rate: the highest the schedule reaches.
        momentum: of SGD; beta 1 of Adam.
        second_momentum: beta 2 of Adam.
        weight_decay: decoupled in `adamw`, added to the gradient in `adam` and `sgd`.
        decay_norms_and_biases: whether parameters with one axis are decayed too.
        clip_norm: the gradient's largest norm; 0 leaves it alone.
        batch_size: images per optimiser step, in each process.
        label_smoothing: share of the target spread over all classes.
        schedule: of the learning rate: `constant`, `plateau` (of the validation loss), `linear` or `cosine`
            (to `final_rate` at the end of the budget).
        warmup: fraction of the budget in which the rate rises linearly from zero.
        final_rate: what `linear` and `cosine` end at, as a share of the learning rate.
        plateau_patience: evaluations (one an epoch) without improvement before the rate falls.
        plateau_factor: what it is multiplied by then.
        average_span: fraction of the budget that the exponential average of the weights reaches back over;
            the average is what is evaluated. 0 evaluates the weights themselves.
        policy: `none` or `autoaugment-cifar10`: colour and geometry at the stored resolution, before the
            crop.
        crop: `none` (the whole image), `shift` (the image moved by up to `crop_shift`, reflected at its
            border) or `resized` (a box of random area and ratio).
        crop_shift: share of the side.
        crop_scale: least and greatest area of the box, as a share of the image.
        crop_ratio: least and greatest width over height of the box.
        flip: probability of a left-right flip.
        rotate: largest angle, in degrees, either way.
        shear: largest horizontal or vertical shear, in degrees, either way.
        brightness, contrast, saturation: largest change of the factor from 1, either way.
        erase: side of the square that is blanked, as a share of the image's; 0 for none.
        mean, std: what images scaled to [0, 1] are standardised with, one value a channel; None takes the
            training images' own. Images with another number of channels are standardised with the means of
            these.
        first_layer_rate: the learning rate of the first layer, as a share of the last one's; those between lie on a
            geometric line (discriminative fine-tuning, Howard and Ruder 2018). 1 trains all alike.
        teacher_share: of the loss, at the start, where there is a teacher: cross-entropy with the teacher's softened
            answers in place of the labels (Hinton et al. 2015). It helps early and may hurt late, so it changes
            linearly with the fraction of the budget,
        teacher_final_share: to this at the end.
        teacher_temperature: what the teacher's and the network's logits are divided by.
        teacher_views: how often the teacher looks at an image: once, or also at its mirror image where `flip` is above
            0.
        stochastic_depth: what a blueprint's drop probabilities are multiplied by.
        progressive_start: training resolution at the start, as a share of the full one; 1 for none.
        progressive_until: fraction of the budget at which the full resolution is reached.
        dtype: `float32`, `bfloat16` (autocast) or `auto`: bfloat16 where the device computes it in hardware.
        channels_last: whether images lie in memory with their channels innermost.
        compile: whether the network is compiled; that time is outside the budget.
        until: `budget`: stop when it is used up; `epoch_end`: finish the epoch in which that happens.
        evaluations: how many, evenly over the budget, the final one included; `epoch`: after every epoch.
        interim_images: validation images that evaluations before the final one look at, the same for every trial; 0 for
            all. Few make a search quicker, since evaluations are outside the budget but not outside the night; the
            result is the final evaluation's then, since the others are not comparable with it.
        evaluation_share: part of a budget in seconds that all evaluations together may take beside it in a search, on
            a processor and with the images in memory. A slow network is then judged by fewer images: in the end by half
            as many as the interim ones, or more, and before it by a tenth of those, or more. 0 judges each by all.
        test_flip: whether an evaluation averages over an image and its mirror image.
        variants: other batch sizes and rates on some devices; `on` settles on one, and leaves none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)]
    second_momentum: Annotated[float, Field(ge=0.0, lt=1.0)]
    weight_decay: NonNegative
    decay_norms_and_biases: bool
    clip_norm: NonNegative
    batch_size: Annotated[int, Field(ge=1)]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)]
    schedule: Literal["constant", "plateau", "linear", "cosine"]
    warmup: Fraction
    final_rate: Fraction
    plateau_patience: Annotated[int, Field(ge=0)]
    plateau_factor: Annotated[float, Field(gt=0.0, lt=1.0)]
    average_span: Fraction
    policy: Literal["none", "autoaugment-cifar10"]
    crop: Literal["none", "shift", "resized"]
    crop_shift: Annotated[float, Field(ge=0.0, le=0.5)]
    crop_scale: tuple[Positive, Fraction]
    crop_ratio: tuple[Positive, Positive]
    flip: Fraction
    rotate: Annotated[float, Field(ge=0.0, le=180.0)]
    shear: Annotated[float, Field(ge=0.0, le=60.0)]
    brightness: Fraction
    contrast: Fraction
    saturation: Fraction
    erase: Annotated[float, Field(ge=0.0, lt=1.0)]
    mean: tuple[float, ...] | None = None
    std: tuple[Positive, ...] | None = None
    first_layer_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    teacher_share: Fraction = 0.9
    teacher_final_share: Fraction = 0.3
    teacher_temperature: Positive = 2.0
    teacher_views: Literal[1, 2] = 2
    stochastic_depth: Fraction
    progressive_start: Annotated[float, Field(gt=0.0, le=1.0)]
    progressive_until: Fraction
    dtype: Literal["float32", "bfloat16", "auto"]
    channels_last: bool
    compile: bool
    until: Literal["budget", "epoch_end"]
    evaluations: Annotated[int, Field(ge=1)] | Literal["epoch"]
    interim_images: Annotated[int, Field(ge=0)]
    evaluation_share: Fraction = 0.0
    test_flip: bool
    variants: tuple[Variant, ...] = ()

    @model_validator(mode="after")
    def _settings_fit_each_other(self) -> Self:
        if self.schedule == "plateau" and self.evaluations != "epoch":
            raise ValueError('schedule = "plateau" counts epochs: it needs evaluations = "epoch"')
        if (self.mean is None) != (self.std is None) or (
            self.mean is not None and self.std is not None and len(self.mean) != len(self.std)
        ):
            raise ValueError("mean and std must be given together, one value for each channel")
        for name in ("crop_scale", "crop_ratio"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be a least and a greatest value, in this order")
        return self

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain data, ready for JSON.

        Settings that came later are left out where they change nothing: a recipe's digest stays what it was.
        """
        written = self.model_dump(mode="json")
        return {
            name: value
            for name, value in written.items()
            if name not in _LATER or value != type(self).model_fields[name].default
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what `to_dict` wrote.

        Raises:
            RecipeError: a setting is unknown, missing or has an impossible value.
        """
        _refuse_unknown(data, allowed=tuple(cls.model_fields), where="The recipe")
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise _explained(error, where=f"The recipe {data.get('name', '')!r}") from error

    def on(self, device: str, budget: Budget) -> Recipe:
        """The recipe as it is used on a device: with the variant for it, if there is one, and no others.

        Args:
            device: `cuda`, `mps` or `cpu`.
            budget: of the training; nobody knows how many seconds one in steps or epochs takes, so that has no variant.
        """
        seconds = budget.amount if budget.unit == "seconds" else 0.0
        fitting = [each for each in self.variants if each.device == device and each.least_seconds <= seconds]
        if budget.unit != "seconds" or not fitting:
            return self.with_settings(variants=())
        best = max(fitting, key=lambda each: each.least_seconds)
        return self.with_settings(batch_size=best.batch_size, learning_rate=best.learning_rate, variants=())

    def with_settings(self, **settings: Any) -> Recipe:
        """The same recipe with some settings changed.

        Raises:
            RecipeError: a setting is unknown or has an impossible value.
        """
        return self.from_dict({**self.model_dump(mode="json"), **settings})


def builtin_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    files = (entry.name for entry in _FOLDER.iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in files))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """The recipe of a name, or the one in a TOML file.

    Args:
        name_or_path: `paper`, `fast`, `finetune`, or the path of a TOML file whose `extends` names another recipe (a
            built-in one, or a file beside it).

    Raises:
        RecipeError: there is no such recipe, or it cannot be read; an unknown setting names the nearest known
            one.
    """
    text = str(name_or_path)
    return Recipe.from_dict(_settings(text, seen=()))


def recipe_for(name_or_path: str | Path, *, mirror_safe: bool, flip: bool | None = None) -> Recipe:
    """The recipe of a name or file as it is used on certain images: without mirror images where those would lie.

    Args:
        name_or_path: as in `load_recipe`.
        mirror_safe: whether an image's mirror image is still of its class (`DataSource.mirror_safe`).
        flip: what the user says about it, which counts more: True keeps what the recipe does; None says nothing.

    Raises:
        RecipeError: as of `load_recipe`.
    """
    recipe = load_recipe(name_or_path)
    if mirror_safe if flip is None else flip:
        return recipe
    return recipe.with_settings(flip=0.0, test_flip=False)


def _settings(name: str, *, seen: tuple[str, ...], beside: Path | None = None) -> dict[str, Any]:
    if name in seen:
        raise RecipeError("Recipes must not extend each other in a circle.", value=" -> ".join((*seen, name)))
    if name in builtin_recipes():
        table = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
        return {"name": name, **table}
    path = (beside / name) if beside else Path(name)
    table = _read_toml(path, name)
    parent = table.pop("extends", None)
    if not isinstance(parent, str):
        raise RecipeError(
            f"The recipe {path.name} must say which recipe it changes.",
            hint='Write, as its first line, extends = "fast".',
        )
    _refuse_unknown(table, allowed=(*Recipe.model_fields, "extends"), where=f"The recipe {path.name}")
    inherited = _settings(parent, seen=(*seen, name), beside=path.parent)
    if {"batch_size", "learning_rate"} & table.keys():
        inherited.pop("variants", None)  # made for the other recipe's batches and rate
    return {**inherited, "name": path.stem, **table}


def _read_toml(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file():
        raise RecipeError(
            "A recipe must be a built-in name or the path of a TOML file.",
            value=name,
            hint=did_you_mean(name, builtin_recipes(), f"The built-in ones are: {', '.join(builtin_recipes())}."),
        )
    try:
        return tomllib.loads(read_document(path))
    except (OSError, UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"The recipe {path.name} must be readable TOML.", hint=f"{error}.") from error


def _refuse_unknown(table: Mapping[str, Any], *, allowed: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in allowed:
            raise RecipeError(
                f"{where} has a setting that does not exist.",
                value=key,
                hint=did_you_mean(key, allowed, f"The settings are: {', '.join(allowed)}."),
            )


def _explained(error: ValidationError, *, where: str) -> RecipeError:
    first = error.errors()[0]
    setting = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing":
        return RecipeError(f"{where} lacks the setting {setting}.", hint='Start from another one: extends = "fast".')
    message = first["msg"].removeprefix("Value error, ")
    rule = f"{where}: {setting}: {message}." if setting else f"{where}: {message}."
    return RecipeError(rule, value=first["input"]) if setting else RecipeError(rule)
