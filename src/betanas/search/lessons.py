"""What a search has learned from a finished study: vectors and what they were worth, as plain data in its plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from betanas.declaration import as_number
from betanas.spaces import SearchSpace

# Of more trials, the best half of so many and as many of the others, spread evenly over the study: suggestions take
# their time from trainings, and a Gaussian process costs with the cube of what it was told.
MOST_TRIALS = 200

# Of more studies the first few teach what there is to learn, and each one's process is asked for every candidate.
MOST_LESSONS = 8

# Fewer results do not tell good networks from bad ones.
LEAST_TRIALS = 3


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a study found.

    Attributes:
        title: what it was, in words.
        vectors: of its trials, each with every parameter of the space.
        values: what each was worth, on the study's own scale: only their order and spread count.
    """

    title: str
    vectors: tuple[Mapping[str, float], ...]
    values: tuple[float, ...]

    def to_document(self) -> dict[str, Any]:
        """As plain JSON: the parameters' names, and a row of values for each trial."""
        names = list(self.vectors[0])
        rows = [[vector[name] for name in names] for vector in self.vectors]
        return {"title": self.title, "parameters": names, "vectors": rows, "values": list(self.values)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Lesson:
        """Read what `to_document` wrote.

        Raises:
            UserError, TypeError, KeyError, ValueError: it is damaged.
        """
        names = [str(name) for name in document["parameters"]]
        vectors = tuple(
            {name: as_number(value) for name, value in zip(names, row, strict=True)} for row in document["vectors"]
        )
        values = tuple(as_number(value) for value in document["values"])
        if len(values) != len(vectors) or not LEAST_TRIALS <= len(values) <= MOST_TRIALS:
            raise ValueError(f"a lesson of {len(vectors)} vectors and {len(values)} values")
        if not isinstance(title := document["title"], str):
            raise TypeError("a lesson without a title")
        return cls(title, vectors, values)


def read_lessons(documents: Sequence[Mapping[str, Any]], parameters: Sequence[str]) -> tuple[Lesson, ...]:
    """The lessons of a plan, whose space has these parameters.

    Raises:
        UserError, TypeError, KeyError, ValueError: one of them is damaged, or there are too many.
    """
    lessons = tuple(Lesson.from_document(one) for one in documents)
    if len(lessons) > MOST_LESSONS:
        raise ValueError(f"{len(lessons)} lessons")
    for lesson in lessons:
        if set(lesson.vectors[0]) != set(parameters):
            raise ValueError(f"a lesson with the parameters {', '.join(lesson.vectors[0])}")
    return lessons


def lesson_of(title: str, trials: Sequence[tuple[Mapping[str, float], float]], space: SearchSpace) -> Lesson | None:
    """What trials teach: those within what the space can construct; None where they are too few.

    Args:
        title: what it was, in words.
        trials: vector and value of each, in their order.
        space: what will be searched, in any ranges.
    """
    usable = [
        (vector, value)
        for vector, value in trials
        if np.isfinite(value) and all(vector[name] in allowed for name, allowed in space.domain.items())
    ]
    if len(usable) < LEAST_TRIALS:
        return None
    if len(usable) > MOST_TRIALS:
        order = sorted(range(len(usable)), key=lambda place: (-usable[place][1], place))
        best, others = order[: MOST_TRIALS // 2], sorted(order[MOST_TRIALS // 2 :])
        spread = [others[place] for place in np.linspace(0, len(others) - 1, MOST_TRIALS // 2).round().astype(int)]
        usable = [usable[place] for place in sorted({*best, *spread})]
    vectors = tuple({name: float(vector[name]) for name in space.domain} for vector, _ in usable)
    return Lesson(title, vectors, tuple(float(value) for _, value in usable))
