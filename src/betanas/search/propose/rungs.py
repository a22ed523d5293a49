"""Which trained candidate is trained longer: rules of successive halving, over what was told and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, pairwise

from betanas.search.propose.base import Observation


@dataclass(slots=True)
class Entrant:
    """A network that a search tries: its vector, and its trial at each share of the budget that it had."""

    vector: Mapping[str, float]
    trials: dict[float, Observation] = field(default_factory=dict)

    def value(self, share: float) -> float:
        """What it reached at a share; minus infinity where it has no result there."""
        objective = self.trials[share].objective if share in self.trials else None
        return objective if objective is not None and math.isfinite(objective) else -math.inf

    def ended(self, share: float) -> bool:
        """Whether its trial at a share has ended, in whatever way."""
        return share in self.trials and self.trials[share].state not in ("running", "waiting")

    @property
    def longest(self) -> float:
        """The largest share that it had, or has at this moment."""
        return max(self.trials)


def entrants(observations: Iterable[Observation], networks: Iterable[bytes]) -> list[Entrant]:
    """The networks in the order in which they were first tried.

    Args:
        observations: in the order of their indices.
        networks: what tells the network of each of them apart.
    """
    found: dict[bytes, Entrant] = {}
    for seen, network in zip(observations, networks, strict=True):
        found.setdefault(network, Entrant(seen.vector)).trials.setdefault(seen.share, seen)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Rung:
    """A number of candidates and the share of the budget that each of them is trained for."""

    size: int
    share: float


Bracket = tuple[Rung, ...]


@dataclass(frozen=True, slots=True)
class Next:
    """What a rule says: train this candidate, or a new one where it names none, for that share."""

    share: float
    entrant: Entrant | None = None


def halving_bracket(rungs: Sequence[float], factor: int) -> Bracket:
    """Successive halving (Jamieson and Talwalkar 2016): at each share `factor` times as many as at the next."""
    levels = len(rungs)
    return tuple(Rung(factor ** (levels - 1 - level), share) for level, share in enumerate(rungs))


def hyperband_brackets(rungs: Sequence[float], factor: int) -> tuple[Bracket, ...]:
    """Hyperband (Li et al. 2018, algorithm 1): brackets that begin at each share, and cost about the same."""
    most = len(rungs) - 1
    brackets = []
    for halvings in range(most, -1, -1):
        first = math.ceil((most + 1) / (halvings + 1) * factor**halvings)
        later = rungs[most - halvings :]
        brackets.append(tuple(Rung(max(first // factor**level, 1), share) for level, share in enumerate(later)))
    return tuple(brackets)


def next_in_brackets(tried: Sequence[Entrant], brackets: Sequence[Bracket]) -> Next:
    """The next training where brackets follow each other, over and over.

    A rung waits for all its trainings; while it does, the brackets after it go on, so that no worker is idle.

    Args:
        tried: in the order of their first trials, which is how they fill the brackets.
        brackets: at least one, of at least one rung.
    """
    begun = 0
    for bracket in cycle(brackets):
        members = tried[begun : begun + bracket[0].size]
        if len(members) < bracket[0].size:
            return Next(bracket[0].share)
        promotion = _promotion(members, bracket)
        if promotion is not None:
            return promotion
        begun += bracket[0].size
    raise AssertionError("brackets go on for ever")


def _promotion(members: Sequence[Entrant], bracket: Bracket) -> Next | None:
    """The next longer training of a full bracket; None where it is complete, or waits."""
    for rung, above in pairwise(bracket):
        if not all(each.ended(rung.share) for each in members):
            return None
        ranked = sorted(members, key=lambda each: -each.value(rung.share))
        members = [each for each in ranked[: above.size] if each.value(rung.share) > -math.inf]
        for each in members:
            if above.share not in each.trials:
                return Next(above.share, each)
    return None


def next_asynchronous(tried: Sequence[Entrant], rungs: Sequence[float], factor: int) -> Next:
    """Asynchronous successive halving, ASHA (Li et al. 2020, algorithm 2): nothing waits.

    Whoever is among the best `1 / factor` of a rung so far is trained for the next share, from the top rung down; where
    there is nobody, a new candidate begins at the lowest.
    """
    for rung, above in reversed(list(pairwise(rungs))):
        there = sorted((each for each in tried if each.value(rung) > -math.inf), key=lambda each: -each.value(rung))
        for each in there[: len(there) // factor]:
            if above not in each.trials:
                return Next(above, each)
    return Next(rungs[0])


def shares_from(least: float, factor: int) -> tuple[float, ...]:
    """The rungs from the whole budget down to the least share, each `1 / factor` of the next; ascending."""
    found = [1.0]
    while found[-1] / factor >= least * (1.0 - 1e-9):
        found.append(found[-1] / factor)
    return tuple(reversed(found))
