"""What a person's words for a teacher stand for, and whether its file is still the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from betanas.errors import RecipeError
from betanas.files import read_json
from betanas.pretrained.timm_networks import is_timm, preprocessing
from betanas.training.kept import NETWORK, SIDECAR
from betanas.training.teaching.teacher import Teacher

# The least side at which a teacher of timm's looks, in pixels; what it knows is of photographs of 200 and more.
_LEAST_SIDE = 96

_KINDS = "one of timm's networks (timm:NAME), the folder of a training, or an ONNX file"


def find_teacher(name: str, *, resolution: int, tuned: float = 0.0) -> Teacher:
    """The teacher that a name stands for.

    Args:
        name: `timm:NAME`, a training's folder, or an ONNX file.
        resolution: side of the learning networks' images, in pixels; one of timm's looks at 96 at least.
        tuned: seconds for which it is fine-tuned first.

    Raises:
        RecipeError: it is none of these, cannot be read, or cannot be fine-tuned.
        BlueprintError: timm has no such network, or no weights of it.
        MissingExtraError: timm, or onnxruntime, is not installed.
    """
    side = max(resolution, _LEAST_SIDE)
    if is_timm(name):
        return Teacher(name, "", max(resolution, min(_LEAST_SIDE, preprocessing(name).side)), tuned)
    path = Path(name).expanduser().resolve()
    if tuned:
        raise RecipeError(
            "Only a teacher of timm's is fine-tuned first.",
            value=f"a share of the time for {name}",
            hint="Leave --teacher-share out, or take --teacher timm:NAME.",
        )
    if not path.exists() or (path.is_file() and path.suffix.casefold() != ".onnx"):
        raise RecipeError(
            f"A teacher must be {_KINDS}.", value=name, hint="Type, for example, --teacher timm:tf_efficientnet_lite0."
        )
    if path.is_dir():
        try:
            side = int(read_json(path / SIDECAR)["resolution"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecipeError(
                "A teacher's folder must hold a training that has ended.",
                value=name,
                hint="Train one: betanas train NETWORK --data DATA --folder FOLDER.",
            ) from error
    return Teacher(str(path), _digest(_weights(path)), side)


def check_unchanged(teacher: Teacher) -> None:
    """Refuse a file that is another than when the training was planned.

    Raises:
        RecipeError: it is missing, or holds something else.
    """
    if teacher.fingerprint and _digest(_weights(Path(teacher.teacher))) != teacher.fingerprint:
        raise RecipeError(
            "The teacher must be the same as when the study began.",
            value=teacher.teacher,
            hint="Put its file back as it was, or begin anew with the other one.",
        )


def _weights(path: Path) -> Path:
    return path / NETWORK if path.is_dir() else path


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise RecipeError("A teacher's file must be readable.", value=str(path), hint=f"{error.strerror}.") from error
