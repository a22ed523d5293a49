"""A teacher as plain data. Reading and writing it needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from betanas.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Teacher:
    """A network that others learn from.

    Attributes:
        teacher: one of timm's networks, the whole path of a training's folder, or that of an ONNX file.
        fingerprint: digest of its file; empty for one of timm's.
        resolution: side of the images it is shown, in pixels.
        tuned: training seconds for which it is fine-tuned on the training images first; 0 takes it as it is.
    """

    teacher: str
    fingerprint: str
    resolution: int
    tuned: float = 0.0

    @property
    def title(self) -> str:
        """What sentences call it."""
        return Path(self.teacher).name if self.fingerprint else self.teacher.partition(":")[2]

    def to_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Teacher:
        """Read what `to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        tuned = float(data.get("tuned", 0.0))
        return cls(str(data["teacher"]), str(data["fingerprint"]), int(data["resolution"]), tuned)


def taught_recipe(recipe: Recipe, teacher: Teacher) -> Recipe:
    """The recipe under a name that says who teaches: tables show it, and results with another teacher lie apart."""
    return recipe.with_settings(name=f"{recipe.name} taught by {teacher.title}")
