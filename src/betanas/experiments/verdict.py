"""From intervals to an answer, by a rule that was written down before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from betanas.experiments.statistics import Estimate

Answer = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one question.

    Attributes:
        question: what was asked.
        rule: what decides, stated before the measurement.
        answer: what the rule says.
        because: the numbers that decided, in a sentence.
    """

    question: str
    rule: str
    answer: Answer
    because: str

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what `dataclasses.asdict` wrote.

        Raises:
            ValueError: its answer is none.
        """
        if data["answer"] not in get_args(Answer):
            raise ValueError(f"{data['answer']!r} is no answer")
        return cls(str(data["question"]), str(data["rule"]), data["answer"], str(data["because"]))


def above(interval: Estimate, threshold: float) -> Answer:
    """Whether a quantity lies above a threshold: supported where its whole interval does, not where none of it does."""
    if interval.low is None or interval.high is None:
        return "undecided"
    if interval.low > threshold:
        return "supported"
    return "not supported" if interval.high < threshold else "undecided"


def all_of(answers: Sequence[Answer]) -> Answer:
    """Whether several things all hold: one that does not is enough to say no."""
    if "not supported" in answers:
        return "not supported"
    return "supported" if answers and all(answer == "supported" for answer in answers) else "undecided"


def in_words(interval: Estimate, *, scale: float = 1.0, digits: int = 2) -> str:
    """`0.83 [0.55, 0.96]`."""
    if interval.value is None:
        return "undefined"
    value = f"{interval.value * scale:.{digits}f}"
    if interval.low is None or interval.high is None:
        return f"{value} (no interval)"
    return f"{value} [{interval.low * scale:.{digits}f}, {interval.high * scale:.{digits}f}]"
