"""What networks are trained on: as typed, else as in the studies they come from."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from betanas.cli.options import Given
from betanas.errors import DataError, RecipeError, StudyError
from betanas.search.settings import SETTINGS

if TYPE_CHECKING:
    from betanas.search.records import StudyPlan
    from betanas.training.budget import Budget
    from betanas.training.recipe import Recipe
    from betanas.training.teaching.teacher import Teacher

_SIDE = 32

# The options that decide it; none of them has a default of its own, since a study's choice comes first.
TRAINED_ON = tuple(
    replace(SETTINGS[name], default=None, panel="Training", help=help_text)
    for name, help_text in (
        ("data", "A data set's name or an image folder; the study's, where the network comes from one."),
        ("resolution", f"Side of the training images, in pixels; the study's, else {_SIDE}."),
        ("validation_share", "Share of the training images to judge by; the study's, else 0.1."),
        ("recipe", "Training recipe: fast, paper, or a TOML file; the study's, else fast."),
        ("batch_size", "Images a training step and process; the study's, else the recipe's."),
        ("flip", "Whether a mirror image is still of its class; as in the study, else what the data source knows."),
    )
)


# What is learned beside the labels; typed each time, whatever a study was taught by.
TAUGHT_BY = tuple(replace(SETTINGS[name], panel="Training") for name in ("teacher", "teacher_share"))


@dataclass(frozen=True)
class TrainedOn:
    """Images and recipe.

    Attributes:
        data: the data source's name or path.
        resolution: side of the images, in pixels.
        validation_share: part of the training images that is held out.
        recipe: how, with the batch size.
    """

    data: str
    resolution: int
    validation_share: float
    recipe: Recipe


def training_for(names: Sequence[str], given: Given, *, trusted: bool = False) -> TrainedOn:
    """What networks are trained on: as typed, else as in the studies named.

    Args:
        names: of the networks, as in `betanas.cli.networks.find_network`.
        given: what was typed of `TRAINED_ON`.
        trusted: whether the Python files that a study names may be run.

    Raises:
        StudyError: there is no study to take the images from, the studies differ in what was not typed, or one names
            a Python file as its data untrusted.
        DataError: there are no images, or those of a study have changed.
        UserError: the images or the recipe cannot be read.
    """
    from betanas.cli.networks import is_study
    from betanas.data import open_source
    from betanas.search.study import Study
    from betanas.trust import check_trust

    plans = []
    for name in names:
        if is_study(name):
            with Study.open(name) as study:
                plans.append(study.plan)

    def chosen(name: str, of: Callable[[StudyPlan], Any], otherwise: Any = None) -> Any:
        return given[name] if name in given else _agreed([of(plan) for plan in plans], SETTINGS[name].flag, otherwise)

    if "data" not in given:
        for plan in plans:
            check_trust({"data": plan.data.source}, trusted=trusted)
    data = chosen("data", lambda plan: plan.data.source)
    if data is None:
        raise DataError(
            "A training needs images.",
            hint="Type, for example, --data digits, or --data followed by a folder with a folder of images a class.",
        )
    source = open_source(data)
    if "data" not in given and any(plan.data_fingerprint != source.fingerprint for plan in plans):
        raise DataError(
            "The data must be the same as when the study began.",
            value=data,
            hint=f"Put the images back as they were, or train on those that are there now: --data {shlex.quote(data)}",
        )
    return TrainedOn(
        data=data,
        resolution=chosen("resolution", lambda plan: plan.resolution, _SIDE),
        validation_share=chosen("validation_share", lambda plan: plan.data.validation_share, 0.1),
        recipe=_recipe(given, plans, mirror_safe=source.mirror_safe),
    )


# The least side at which a pretrained network looks, in pixels: it was trained on photographs of 200 and more, and
# smaller ones than this are enlarged.
_LEAST_FINETUNED = 96


def finetuned(
    on: TrainedOn, name: str, *, flip: bool | None = None, recipe: str = "finetune", resolution: int | None = None
) -> TrainedOn:
    """How one of timm's networks is fine-tuned on the images that others are trained on from random weights.

    Args:
        on: the others' images.
        name: of the network.
        flip: as typed.
        recipe: a recipe's name or file; images are standardised as the weights expect it.
        resolution: side of its images; the others', but at least 96 pixels, where not given.

    Raises:
        UserError: there is no such network or recipe.
    """
    from betanas.data import open_source
    from betanas.pretrained.timm_networks import preprocessing
    from betanas.training.recipe import recipe_for

    expects = preprocessing(name)
    side = resolution or max(on.resolution, min(_LEAST_FINETUNED, expects.side))
    chosen = recipe_for(recipe, mirror_safe=open_source(on.data).mirror_safe, flip=flip)
    chosen = chosen.with_settings(mean=expects.mean, std=expects.std, variants=())
    return replace(on, resolution=side, recipe=chosen)


def taught(on: TrainedOn, given: Given, budget: Budget) -> tuple[TrainedOn, Teacher | None]:
    """What networks are trained on with the teacher that was typed, whom the recipe then names; None without one.

    Raises:
        UserError: the teacher cannot be read, or a share of no time was typed.
    """
    from betanas.training.teaching.naming import find_teacher
    from betanas.training.teaching.teacher import taught_recipe

    name, share = given.get("teacher"), given.get("teacher_share", 0.0)
    if name is None:
        if share:
            raise RecipeError(
                "--teacher-share is of the time for a teacher.",
                value=share,
                hint="Add --teacher timm:tf_efficientnet_lite0, or leave it out.",
            )
        return on, None
    if share and budget.unit != "seconds":
        raise RecipeError(
            "A teacher's share is one of a time.",
            value=f"{share} of {budget}",
            hint="Type a --budget in seconds, or leave --teacher-share out.",
        )
    teacher = find_teacher(name, resolution=on.resolution, tuned=round(share * budget.amount, 1))
    return replace(on, recipe=taught_recipe(on.recipe, teacher)), teacher


def _recipe(given: Given, plans: Sequence[StudyPlan], *, mirror_safe: bool) -> Recipe:
    from betanas.training.recipe import Recipe, recipe_for

    flip = given.get("flip")
    if "recipe" in given or not plans:
        recipe = recipe_for(given.get("recipe", "fast"), mirror_safe=mirror_safe, flip=flip)
    else:
        # By the recipe's own name: a teacher is typed anew.
        own = [{"name": plan.training.recipe, "batch_size": plan.batch_size} for plan in plans]
        settings = [{**plan.recipe_settings, **each} for plan, each in zip(plans, own, strict=True)]
        recipe = Recipe.from_dict(_agreed(settings, "--recipe", None))
        if flip is False:
            recipe = recipe.with_settings(flip=0.0, test_flip=False)
        elif flip and not recipe.flip:  # the study went without; its recipe says how much there would be
            named = recipe_for(plans[0].training.recipe, mirror_safe=True)
            recipe = recipe.with_settings(flip=named.flip, test_flip=named.test_flip)
    # A size that was typed is meant for every device.
    return recipe.with_settings(batch_size=given["batch_size"], variants=()) if "batch_size" in given else recipe


def _agreed(values: Sequence[Any], option: str, otherwise: Any) -> Any:
    different = [value for place, value in enumerate(values) if value not in values[:place]] or [otherwise]
    if len(different) > 1:
        raise StudyError(
            f"The studies differ in what {option} decides.",
            value=" and ".join(_shown(value, different) for value in different),
            hint=f"Type, for example, {option} {_name(different[0])}.",
        )
    return different[0]


def _shown(value: Any, different: Sequence[Any]) -> str:
    """A value for a person; of a recipe, its name and what the recipes differ in."""
    if not isinstance(value, dict):
        return str(value)
    apart = [f"{name} {value[name]}" for name in value if any(other.get(name) != value[name] for other in different)]
    return f"{_name(value)} ({', '.join(apart)})"


def _name(value: Any) -> Any:
    return value.get("name") if isinstance(value, dict) else value
