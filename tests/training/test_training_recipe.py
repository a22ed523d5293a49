from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from betanas.cli.main import run as run_betanas
from betanas.data import open_source
from betanas.errors import RecipeError
from betanas.search.planning import plan_search
from betanas.search.progress import SearchListener
from betanas.search.settings import SearchSettings
from betanas.training.budget import Budget
from betanas.training.recipe import Recipe, builtin_recipes, load_recipe, recipe_for


@pytest.fixture
def write(tmp_path):
    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_the_paper_recipe_is_table_2():
    paper = load_recipe("paper")
    assert (paper.optimizer, paper.momentum, paper.second_momentum) == ("adam", 0.9, 0.999)
    assert (paper.learning_rate, paper.batch_size, paper.weight_decay) == (1e-3, 100, 0.0)
    assert (paper.policy, paper.crop, paper.flip) == ("autoaugment-cifar10", "resized", 0.5)
    assert (paper.crop_scale, paper.crop_ratio) == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert (paper.schedule, paper.plateau_patience) == ("plateau", 5)
    assert paper.mean == (0.5071, 0.4866, 0.4409)
    assert paper.std == (0.2009, 0.1984, 0.2023)
    assert (paper.until, paper.evaluations) == ("epoch_end", "epoch")
    assert (paper.dtype, paper.average_span, paper.label_smoothing) == ("float32", 0.0, 0.0)
    assert (paper.stochastic_depth, paper.progressive_start, paper.clip_norm) == (1.0, 1.0, 0.0)


def test_fast_finishes_its_anneal_and_spares_norms():
    fast = load_recipe("fast")
    assert fast.schedule in ("linear", "cosine")
    assert fast.final_rate < 0.1
    assert not fast.decay_norms_and_biases
    assert (fast.dtype, fast.channels_last, fast.until) == ("auto", True, "budget")


@pytest.mark.parametrize("name", builtin_recipes())
def test_recipes_survive_json(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@given(
    learning_rate=st.floats(1e-6, 10.0),
    batch_size=st.integers(1, 4096),
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
    evaluations=st.one_of(st.integers(1, 100), st.just("epoch")),
    mean=st.one_of(st.none(), st.lists(st.floats(0, 1), min_size=1, max_size=4)),
)
def test_any_recipe_survives_json(learning_rate, batch_size, schedule, evaluations, mean):
    recipe = load_recipe("fast").with_settings(
        learning_rate=learning_rate,
        batch_size=batch_size,
        schedule=schedule,
        evaluations=evaluations,
        mean=mean,
        std=None if mean is None else [0.2] * len(mean),
    )
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_users_recipe_changes_another(write):
    path = write("mine.toml", 'extends = "fast"\nlearning_rate = 0.002\nflip = 0\n')
    recipe = load_recipe(path)
    fast = load_recipe("fast")
    assert (recipe.name, recipe.learning_rate, recipe.flip) == ("mine", 0.002, 0.0)
    plain = fast.with_settings(variants=())
    assert recipe.with_settings(name="fast", learning_rate=fast.learning_rate, flip=fast.flip) == plain


def test_a_users_recipe_may_extend_a_file_beside_it(write):
    write("first.toml", 'extends = "paper"\nbatch_size = 64\n')
    recipe = load_recipe(write("second.toml", 'extends = "first.toml"\nlearning_rate = 0.01\n'))
    assert (recipe.name, recipe.batch_size, recipe.learning_rate) == ("second", 64, 0.01)
    assert recipe.optimizer == "adam"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "fast"\nlearning_rat = 1\n', "'learning_rat'.*Did you mean learning_rate"),
        ('extends = "fast"\nzzz = 1\n', "'zzz'.*The settings are: name, optimizer"),
        ('extends = "fast"\nlearning_rate = "high"\n', "learning_rate.*'high'"),
        ('extends = "fast"\nlearning_rate = -1\n', "learning_rate.*greater than 0.*-1"),
        ('extends = "fast"\noptimizer = "lion"\n', "optimizer.*'adam', 'adamw' or 'sgd'.*'lion'"),
        ('extends = "fast"\nlearning_rate = inf\n', "learning_rate.*finite"),
        ('extends = "fast"\nbatch_size = 0\n', "batch_size"),
        ('extends = "fast"\nschedule = "plateau"\n', 'evaluations = "epoch"'),
        ('extends = "fast"\nmean = [0.5]\n', "mean and std must be given together"),
        ('extends = "fast"\nmean = [0.5]\nstd = [0.2, 0.3]\n', "mean and std must be given together"),
        ('extends = "fast"\ncrop_scale = [0.9, 0.1]\n', "crop_scale must be a least and a greatest"),
        ('extends = "fast\n', "readable TOML"),
        ("learning_rate = 1\n", 'must say which recipe it changes.*extends = "fast"'),
        ("extends = 3\n", "must say which recipe it changes"),
        ('extends = "slow"\n', "built-in name or the path"),
        ('extends = "mine.toml"\n', "in a circle"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused_with_a_way_out(write, text, message):
    with pytest.raises(RecipeError, match=f"(?s){message}") as caught:
        load_recipe(write("mine.toml", text))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "hint"), [("fst", "Did you mean fast?"), ("xyz", "The built-in ones are: fast, finetune, paper.")]
)
def test_an_unknown_recipe_names_the_nearest(name, hint):
    with pytest.raises(RecipeError) as caught:
        load_recipe(name)
    assert caught.value.hint == hint


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "image.toml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(RecipeError, match="readable TOML"):
        load_recipe(path)


def test_stored_settings_must_be_whole():
    settings = load_recipe("fast").to_dict()
    del settings["flip"]
    with pytest.raises(RecipeError, match="lacks the setting flip"):
        Recipe.from_dict(settings)
    with pytest.raises(RecipeError, match="Did you mean flip"):
        Recipe.from_dict({**settings, "flipp": 0.5})


def test_reading_a_recipe_loads_no_torch():
    code = "import sys, betanas.training.recipe as r; r.load_recipe('fast'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("mirror_safe", "flip", "expected"),
    [(True, None, 0.5), (False, None, 0.0), (True, False, 0.0), (False, True, 0.5)],
)
def test_images_are_mirrored_where_that_leaves_their_class_alone(mirror_safe, flip, expected):
    recipe = recipe_for("fast", mirror_safe=mirror_safe, flip=flip)
    assert recipe.flip == expected
    assert recipe == load_recipe("fast").with_settings(flip=expected)


def test_without_mirror_images_none_is_looked_at_in_an_evaluation_either(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "fast"\ntest_flip = true\n', encoding="utf-8")
    assert recipe_for(path, mirror_safe=True).test_flip
    assert not recipe_for(path, mirror_safe=False).test_flip


def test_sources_know_whether_their_images_may_be_mirrored(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "one.png")
    assert [open_source(name).mirror_safe for name in ("digits", tmp_path)] == [False, True]


@pytest.mark.parametrize(("arguments", "expected"), [((), 0.0), (("--flip",), 0.5)])
def test_a_plan_holds_the_recipe_as_it_is_used(tmp_path, arguments, expected):
    """Both what `train` writes and what a search plans."""
    common = ["--data", "digits", "--resolution", "16", "--budget", "1steps", *arguments]
    assert run_betanas(["train", "mobilenet_v2", "--folder", str(tmp_path / "run"), "--device", "cpu", *common]) == 0
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["recipe"]["flip"] == expected
    flip = True if arguments else None
    place = str(tmp_path / "study")
    settings = SearchSettings(data="digits", study=place, strategy="sobol", resolution=16, devices="cpu", flip=flip)
    assert plan_search(settings, SearchListener()).plan.recipe_settings["flip"] == expected


def test_every_setting_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(Recipe.model_fields) - {"name"} <= documented


@pytest.mark.parametrize(
    ("device", "budget", "expected"),
    [
        ("cuda", "5s", 100),
        ("cuda", "300s", 512),
        ("cuda", "2h", 512),
        ("cuda", "500epochs", 100),
        ("cpu", "2h", 100),
        ("mps", "2h", 100),
    ],
)
def test_batch_size_and_rate_move_together_by_device_and_budget(device, budget, expected):
    fast = load_recipe("fast")
    settled = fast.on(device, Budget.parse(budget))
    assert (settled.batch_size, settled.variants) == (expected, ())
    assert Recipe.from_dict(settled.to_dict()) == settled
    wanted = fast.with_settings(
        variants=[
            {"device": "cuda", "least_seconds": 0, "batch_size": 200, "learning_rate": 0.02},
            {"device": "cuda", "least_seconds": 10, "batch_size": 400, "learning_rate": 0.03},
        ]
    )
    found = [wanted.on("cuda", Budget.parse(text)) for text in ("9s", "10s")]
    assert [(each.batch_size, each.learning_rate) for each in found] == [(200, 0.02), (400, 0.03)]


def test_a_recipe_that_sets_the_batch_size_has_no_other_on_any_device(tmp_path):
    (tmp_path / "mine.toml").write_text('extends = "fast"\nbatch_size = 64\n')
    (tmp_path / "colours.toml").write_text('extends = "fast"\nbrightness = 0.2\n')
    assert load_recipe(tmp_path / "mine.toml").on("cuda", Budget.parse("1h")).batch_size == 64
    assert load_recipe(tmp_path / "colours.toml").on("cuda", Budget.parse("1h")).batch_size == 512
