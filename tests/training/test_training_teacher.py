"""Learning from a teacher: its answers, computed once, and their part in a step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from betanas.cli.main import run
from betanas.data import open_source
from betanas.data.images import ImageSet
from betanas.errors import RecipeError
from betanas.files import read_json
from betanas.models import benchmark_network
from betanas.pretrained.timm_networks import weights_place
from betanas.training.augmentation import Augmentation, Standardise
from betanas.training.batches import BatchStream
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.graphs import Graphs
from betanas.training.job import Job, JobImages
from betanas.training.options import EngineOptions
from betanas.training.recipe import load_recipe
from betanas.training.teaching.answers import answers_of
from betanas.training.teaching.loss import distillation_loss, teacher_share
from betanas.training.teaching.naming import find_teacher
from betanas.training.teaching.probe import fitted_logits
from betanas.training.teaching.teacher import Teacher, taught_recipe
from betanas.training.trainer import Trainer

FAST = load_recipe("fast")
CPU = torch.device("cpu")


# The loss ------------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_divergence_from_the_teachers_softened_answers() -> None:
    logits, answers = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4)
    wanted = (answers / 3).softmax(1)
    by_hand = 9 * (wanted * ((answers / 3).log_softmax(1) - (logits / 3).log_softmax(1))).sum(1).mean()
    torch.testing.assert_close(distillation_loss(logits, answers, 3.0), by_hand)
    assert distillation_loss(answers, answers, 3.0).abs() < 1e-6
    (gradient,) = torch.autograd.grad(distillation_loss(logits, answers, 3.0), logits)
    torch.testing.assert_close(gradient, 3 * ((logits / 3).softmax(1) - wanted).detach() / 6)


def test_the_teachers_share_falls_with_the_budget() -> None:
    recipe = FAST.with_settings(teacher_share=0.8, teacher_final_share=0.2)
    shares = [teacher_share(recipe, fraction) for fraction in (0.0, 0.5, 1.0, 1.3)]
    assert shares == pytest.approx([0.8, 0.5, 0.2, 0.2])


# Its answers to features' images -------------------------------------------------------------------------------------


def test_images_are_answered_by_a_layer_that_has_not_seen_them() -> None:
    """With more features than images any labels can be fitted: only what was left out of a fit stays at chance."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 1, 400, generator=generator)
    labels = torch.randint(0, 4, (200,), generator=generator)
    answered, fitted = fitted_logits(features, labels, [features], classes=4)
    assert (fitted[:, 0].argmax(1) == labels).float().mean() > 0.9
    assert (answered[:, 0].argmax(1) == labels).float().mean() < 0.4


def test_classes_that_features_tell_apart_are_told_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    centres, labels = torch.randn(5, 20, generator=generator), torch.arange(300) % 5
    features = (centres[labels] + 0.4 * torch.randn(300, 20, generator=generator))[:, None].expand(-1, 2, -1)
    answered, others = fitted_logits(features, labels, [features[:10]], classes=5)
    assert answered.shape == (300, 2, 5)
    assert (answered.argmax(-1) == labels[:, None]).float().mean() > 0.95
    assert (others.argmax(-1) == labels[:10, None]).all()
    assert functional.cross_entropy(answered[:, 0], labels) < 0.7, "they are scaled as logits"


# In a batch ----------------------------------------------------------------------------------------------------------


class Elsewhere:
    """Images that do not lie on the device, as those that are streamed."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images
        self.labels, self.shape = images.labels, images.shape

    def __len__(self) -> int:
        return len(self._images)

    def batches(self, order: Iterable[Tensor], *, device: torch.device | str) -> Iterator[ImageSet]:
        return self._images.batches(order, device=device)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(("flip", "views"), [(0.0, 1), (0.5, 2), (0.5, 1)])
def test_an_answer_is_the_one_to_the_view_that_is_shown(flip: float, views: int, elsewhere: bool) -> None:
    """Where the teacher looked at an image once, its mirror image gets the same answer."""
    n = 60
    pixels = torch.zeros(n, 1, 4, 4, dtype=torch.uint8)
    pixels[..., 0] = 255  # bright on the left: a mirror image is bright on the right
    images = ImageSet(pixels, torch.arange(n))
    recipe = FAST.with_settings(flip=flip, crop="none")
    answers = torch.stack([torch.arange(n) + 1000.0 * view for view in range(views)], 1)[..., None].half()
    stream = BatchStream(
        Elsewhere(images) if elsewhere else images,
        Augmentation(recipe, Standardise(pixels, recipe), side=4),
        batch_size=10,
        seed=0,
        answers=answers,
    )
    seen = set()
    for _ in range(6):
        shown, labels, said = stream.augment(stream.fetch(), 4)
        assert said is not None
        mirrored = shown[:, 0, 0, 3] > shown[:, 0, 0, 0]
        assert said[:, 0].tolist() == (labels + 1000 * (views - 1) * mirrored).half().tolist()
        seen |= set(mirrored.tolist())
    stream.close()
    assert seen == ({True, False} if flip else {False})


class Replayed(Graphs):
    """Replays by running the recorded work again, on the same memory."""

    def rehearse(self, work):
        work()

    def capture(self, work, generators):
        return work


@pytest.mark.parametrize("graph", [False, True])
def test_a_network_learns_what_its_teacher_says(digits, quick, blueprint, graph) -> None:
    """The teacher calls every digit by the next one's name, and is believed to the end: a recorded step follows too."""
    answers = 8 * functional.one_hot((digits.train.labels + 1) % 10, 10)[:, None].half()
    recipe = quick.with_settings(flip=0.0, teacher_share=1.0, teacher_final_share=1.0)
    options = EngineOptions(graphs=lambda _: Replayed() if graph else None)
    engine = TrialEngine(digits, resolution=8, recipe=recipe, device="cpu", options=options)
    budget = Budget.parse("60steps")
    taught = engine.train(blueprint.build, budget=budget, seed=0, answers=answers)
    alone = engine.train(blueprint.build, budget=budget, seed=0)
    assert taught.stepping == ("graph" if graph else "eager: the device has no graphs")
    assert taught.top1 is not None
    assert alone.top1 is not None
    assert taught.top1 < 0.1 < 0.6 < alone.top1


def test_answers_to_other_images_are_refused(digits, quick, blueprint) -> None:
    engine = TrialEngine(digits, resolution=8, recipe=quick, device="cpu")
    with pytest.raises(RecipeError, match="answered every training image"):
        engine.train(blueprint.build, budget=Budget.parse("1steps"), seed=0, answers=torch.zeros(5, 1, 10).half())


def test_the_share_of_a_recorded_step_is_todays(digits, quick, blueprint) -> None:
    """A teacher whose share falls to nothing: the labels win, in a recorded step as in an eager one."""
    answers = 8 * functional.one_hot((digits.train.labels + 1) % 10, 10)[:, None].half()
    recipe = quick.with_settings(flip=0.0, teacher_share=0.3, teacher_final_share=0.0)
    curves = []
    for graphs in (None, Replayed()):
        options = EngineOptions(graphs=lambda _, graphs=graphs: graphs)
        engine = TrialEngine(digits, resolution=8, recipe=recipe, device="cpu", options=options)
        result = engine.train(blueprint.build, budget=Budget.parse("50steps"), seed=1, answers=answers)
        curves.append([point.loss for point in result.curve])
        assert result.top1 is not None
        assert result.top1 > 0.5
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)


# Teachers ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of digits that has ended."""
    folder = tmp_path_factory.mktemp("teacher") / "trained"
    command = ["train", "plain4", "--data", "digits", "--resolution", "16", "--folder", str(folder)]
    assert run([*command, "--budget", "25steps", "--device", "cpu", "--json"]) == 0
    return folder


def job(teacher: Teacher | None, *, steps: int = 3) -> Job:
    source = open_source("digits")
    network = {"network": "plain4", "num_classes": 10, "in_channels": 1}
    from betanas.search.propose.listed import benchmark_entrant

    entrant = benchmark_entrant(
        "plain4", resolution=16, **{key: network[key] for key in ("num_classes", "in_channels")}
    )
    images = JobImages("digits", source.fingerprint, 16)
    recipe = FAST.with_settings(flip=0.0, variants=())
    return Job(entrant.architecture, images, recipe, Budget(steps, "steps"), teacher=teacher)


def test_a_training_teaches_what_it_knows(trained: Path) -> None:
    teacher = find_teacher(str(trained), resolution=8)
    assert teacher.resolution == 16
    trainer = Trainer(device="cpu")
    answers = trainer.answers(job(teacher))
    sidecar = read_json(trained / "network.json")
    assert answers.logits.dtype == torch.float16
    assert answers.logits.shape == (len(trainer.divided(job(None).images).train), 1, 10)
    assert answers.top1 == pytest.approx(sidecar["top1"], abs=0.02)
    labels = trainer.divided(job(None).images).train.labels
    assert (answers.logits[:, 0].argmax(1) == labels).float().mean() > 0.5
    again = Trainer(device="cpu").answers(job(teacher))
    assert again.seconds == answers.seconds, "it comes from the cache"
    assert torch.equal(again.logits, answers.logits)
    result = trainer.train(job(teacher))
    assert result.outcome == "completed"


@pytest.mark.parametrize(("flip", "views", "looked"), [(0.0, 2, 1), (0.5, 2, 2), (0.5, 1, 1)])
def test_a_teacher_looks_as_often_as_the_recipe_says(trained: Path, flip: float, views: int, looked: int) -> None:
    one = job(find_teacher(str(trained), resolution=8))
    taught = replace(one, recipe=FAST.with_settings(flip=flip, teacher_views=views, variants=()))
    assert Trainer(device="cpu").answers(taught).logits.shape[1] == looked


def test_an_exported_file_says_what_the_training_does(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    source = open_source("digits")
    for number, options in enumerate(([], ["--with-preprocessing"])):
        to = tmp_path / str(number)
        assert run(["export", str(trained), "--to", str(to), "--format", "onnx", *options]) == 0
        (file,) = to.glob("*.onnx")
        found, known = (
            answers_of(find_teacher(str(each), resolution=16), source, job(None).images, mirrored=False, device=CPU)
            for each in (file, trained)
        )
        assert found.top1 == pytest.approx(known.top1, abs=0.02)
        shares = [each.logits.float().softmax(-1) for each in (found, known)]
        assert (shares[0] - shares[1]).abs().max() < (0.02 if not options else 0.1)


def test_other_outputs_are_features(trained: Path) -> None:
    """A network of other classes: a layer is fitted to what it says."""
    document = read_json(trained / "network.json")
    other = trained.parent / "other"
    other.mkdir(exist_ok=True)
    (other / "network.safetensors").write_bytes((trained / "network.safetensors").read_bytes())
    names = {**document, "classes": [f"other {name}" for name in document["classes"]]}
    (other / "network.json").write_text(json.dumps(names))
    teacher = replace(find_teacher(str(other), resolution=16), fingerprint="", teacher=str(other))
    found = answers_of(teacher, open_source("digits"), job(None).images, mirrored=False, device=CPU)
    assert found.top1 > 0.5


def test_one_of_timms_is_fine_tuned_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    monkeypatch.setenv("BETANAS_CACHE", str(tmp_path))
    weights_place().mkdir()
    save_file(timm.create_model("test_efficientnet").state_dict(), weights_place() / "test_efficientnet.safetensors")
    teacher = find_teacher("timm:test_efficientnet", resolution=16)
    assert (teacher.resolution, teacher.title) == (96, "test_efficientnet")
    teacher = replace(teacher, resolution=32)
    trainer = Trainer(device="cpu")
    as_it_is = trainer.answers(job(teacher))
    assert as_it_is.top1 > 0.5, "features of random weights tell digits apart"
    tuned = trainer.answers(job(replace(teacher, tuned=0.5)))
    assert tuned.seconds > 0.5
    assert not torch.equal(tuned.logits, as_it_is.logits)
    assert list((tmp_path / "tuned").glob("*/network.safetensors"))


def test_a_job_with_a_teacher_is_another_and_is_read_back(trained: Path) -> None:
    teacher = find_teacher(str(trained), resolution=16)
    taught, alone = job(teacher), job(None)
    assert taught.key != alone.key
    assert Job.from_dict(json.loads(json.dumps(taught.to_dict()))) == taught
    assert "teacher" not in alone.to_dict()
    assert "teacher_share" not in FAST.to_dict(), "earlier recipes keep their digests"
    assert taught_recipe(FAST, teacher).name == "fast taught by trained"


def test_another_file_in_the_teachers_place_is_refused(trained: Path) -> None:
    teacher = replace(find_teacher(str(trained), resolution=16), fingerprint="0123456789abcdef")
    with pytest.raises(RecipeError, match="must be the same as when the study began"):
        Trainer(device="cpu").train(job(teacher))


# As people type it ---------------------------------------------------------------------------------------------------


def test_commands_take_a_teacher(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--data", "digits", "--resolution", "16", "--budget", "3steps", "--teacher", str(trained)]
    assert run(["train", "plain4", "--folder", str(tmp_path / "t"), "--device", "cpu", *common]) == 0
    assert "trained teaches: it knows" in capsys.readouterr().out
    assert read_json(tmp_path / "t" / "plan.json")["teacher"]["teacher"] == str(trained)
    compared = ["compare", "plain4", "--folder", str(tmp_path / "c"), "--seeds", "1", "--executor", "inline", *common]
    assert run([*compared, "--devices", "cpu", "--json", "--no-latency"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["teacher"]["name"] == "trained"
    assert [row["recipe"] for row in document["table"]] == ["fast taught by trained"]


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        (["--teacher", "nothing_like_it"], "A teacher must be one of timm's networks"),
        (["--teacher", "timm:tf_efficientnet_lite9"], "one of timm's"),
        (["--teacher", "empty"], "folder must hold a training that has ended"),
        (["--teacher", "text.onnx"], "ONNX file must take a batch of images"),
        (["--teacher", "colour.onnx"], "must take images of 1 channels"),
        (["--teacher", "picture.png"], "A teacher must be one of timm's networks"),
        (["--teacher-share", "0.5"], "is of the time for a teacher"),
        (["--teacher", "timm:tf_efficientnet_lite0", "--teacher-share", "0.5"], "share is one of a time"),
        (["--teacher", "timm:tf_efficientnet_lite0", "--teacher-share", "1.5"], "a number from 0 up to 1"),
        (["--teacher", "empty", "--teacher-share", "0.5", "--budget", "9s"], "Only a teacher of timm's"),
    ],
)
@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_teacher_that_cannot_teach_is_refused(
    command: str,
    typed: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("text.onnx").write_text("no graph")
    Path("picture.png").write_bytes(b"\x89PNG")
    if "colour.onnx" in typed:
        pytest.importorskip("onnxscript")
        network = benchmark_network("plain4", num_classes=10).eval()
        torch.onnx.export(network, (torch.rand(1, 3, 16, 16),), "colour.onnx", dynamo=True)
    common = [command, "plain4", "--folder", "made", "--data", "digits", "--resolution", "16", "--budget", "2steps"]
    assert run([*common, *typed]) == 2
    assert what in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "made" / "network.json").exists()
