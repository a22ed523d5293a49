"""A search as a study: the adapter between a strategy and the loop, with all that is a search's own business.

That is what is feasible, networks that were trained already, memory that ran out, trials that cannot win any more, and
what a trial is worth.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
from typing_extensions import override

from betanas.blueprint import Blueprint
from betanas.errors import SpaceExhausted
from betanas.search.allowance import Allowance
from betanas.search.bounds import next_widenings, widenings_in_words
from betanas.search.feasibility import Problem, corrected_limits
from betanas.search.planning import job_of, make_strategy, problem_of, stopping_rule, trials_expected
from betanas.search.progress import SearchListener
from betanas.search.propose.base import Observation, Strategy, Suggestion
from betanas.search.propose.proposer import Proposal, Proposer
from betanas.search.records import DESIGN, StudyPlan, TrialRecord, Widening, with_job
from betanas.search.scoring import Score, make_score
from betanas.search.stopping import StoppingRule, Verdict
from betanas.search.store.store import Store
from betanas.training.job import Job
from betanas.training.result import CurvePoint

# Of them the first so many are tried in any search.
FEW_DESIGNS = 3


@dataclass(frozen=True, eq=False)
class SearchParts:
    """What a search is made of.

    Attributes:
        store: of the study.
        plan: of the study, as it is carried out now.
        problem: its space, images and limits.
        make_strategy: a fresh strategy for a problem.
        score: what is maximised.
        computing: held while a suggestion is computed; gives the threads that may be used.
        listener: who is told.
        stopping: when a trial has no chance any more; None trains every trial to its end.
        allowance: what is left of the search's time; None where the planned trials alone end it.
    """

    store: Store
    plan: StudyPlan
    problem: Problem
    make_strategy: Callable[[Problem], Strategy]
    score: Score
    computing: Callable[[], AbstractContextManager[int]]
    listener: SearchListener
    stopping: StoppingRule | None = None
    allowance: Allowance | None = None

    @classmethod
    def of(
        cls,
        store: Store,
        plan: StudyPlan,
        computing: Callable[[], AbstractContextManager[int]],
        listener: SearchListener,
        allowance: Allowance,
    ) -> SearchParts:
        """What a plan's search is made of."""
        problem = problem_of(plan)
        return cls(
            store=store,
            plan=plan,
            problem=problem,
            make_strategy=lambda problem: make_strategy(plan, problem),
            score=make_score(plan.search.objective, problem),
            computing=computing,
            listener=listener,
            stopping=stopping_rule(plan),
            allowance=allowance,
        )


class StrategyProposer(Proposer):
    """Proposes what a strategy suggests."""

    gives_up = True

    def __init__(self, parts: SearchParts) -> None:
        self._parts = parts
        self._problem, self._widenings, self._looked_at = parts.problem, parts.plan.widenings, False
        self._records: dict[int, TrialRecord] = {}
        self._blueprints: dict[int, Blueprint] = {}
        self._by_key: dict[tuple[str, float], int] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._ahead: deque[Suggestion] = deque()
        self._exhausted = False
        self._thinking = 0.0
        self._told: Strategy | None = None

    @override
    def ending(self) -> str:
        if not self._exhausted and not self.has_time() and self.remaining() > 0:
            self._parts.listener.on_note("The search's time is used up: not even one more trial would end within it.")
            return "out_of_time"
        return "exhausted" if self._exhausted else "finished"

    @override
    def has_time(self) -> bool:
        allowance = self._parts.allowance
        if allowance is None:
            return True
        share = self._ahead[0].share if self._ahead else self._strategy.least_share
        return allowance.allows_another(self._known, share=share, thinking=self._thinking)

    @override
    def seconds_left(self) -> float:
        allowance = self._parts.allowance
        return math.inf if allowance is None else allowance.seconds_left(thinking=self._thinking)

    @override
    def tell(self, record: TrialRecord) -> None:
        before = self._records.get(record.index)
        self._records[record.index] = record
        self._looked_at = False
        if record.state == "completed" and record.repeat_of is None:
            self._by_key.setdefault((record.blueprint_key, record.share), record.index)
        if record.cause == "out_of_memory" and (before is None or before.state == "running"):
            self._told = None  # the memory limit lies below it: what was suggested within the old one no longer counts
            self._ahead.clear()
            if before is not None:
                self._parts.listener.on_note(
                    f"Trial {record.index} ran out of memory although {record.memory:,} bytes were predicted: "
                    "the memory limit is lowered below that."
                )
        elif self._told is not None:
            self._told.tell(Observation.of(record))

    @override
    def remaining(self) -> int:
        if self._exhausted:
            return len(self._ahead)
        return self._strategy.remaining(self._parts.store.trials_planned())

    @override
    def prepare(self) -> None:
        begun = time.monotonic()
        self._widen()
        if self._ahead or self._exhausted:
            return
        if (design := self._next_design()) is not None:
            self._ahead.append(design)
            return
        self._parts.listener.on_suggesting()
        try:
            with self._parts.computing() as threads:
                self._strategy.threads = threads
                self._ahead.extend(self._strategy.ask(1))
        except SpaceExhausted as end:
            self._exhausted = True
            self._parts.listener.on_note(f"The search is complete before its planned trials are run. {end}")
        finally:
            self._thinking = time.monotonic() - begun

    def propose(self, session: int) -> Proposal | None:
        """See `Proposer.propose`: a network that breaks a limit, or was trained already, is not trained."""
        self.prepare()
        return self._proposal(self._ahead.popleft(), session) if self._ahead and self.has_time() else None

    @override
    def job(self, record: TrialRecord) -> Job:
        network = self._blueprint(record.index).to_dict()
        return job_of(self._parts.plan, network, seed=record.seed, share=record.share)

    @override
    def goes_on(self, record: TrialRecord, curve: Sequence[CurvePoint]) -> bool:
        if self._parts.stopping is None or record.share < 1.0:
            return True  # a part of the budget is little, and its curve compares with no whole one's
        history = [each.curve for each in self._known if each.state == "completed" and each.share == 1.0 and each.curve]
        verdict = self._parts.stopping.decide(curve, history, index=record.index)
        if verdict.stop:
            self._verdicts[record.index] = verdict
        return not verdict.stop

    def value(self, record: TrialRecord) -> float | None:
        """The objective; of a trial that was stopped early, at the accuracy that it was expected to end with."""
        verdict = self._verdicts.pop(record.index, None)
        if record.state == "stopped" and verdict is not None:
            record = replace(record, top1=verdict.predicted)
        blueprint = self._blueprint(record.index)
        del self._blueprints[record.index]
        return None if record.top1 is None else self._parts.score(record, blueprint)

    def conclude(self) -> None:
        """Keep the strategy's model as plain data beside the trials, for analyses that have no torch."""
        with self._parts.computing() as threads:
            self._strategy.threads = threads
            document = self._strategy.export_surrogate()
        if document is not None:
            self._parts.store.attach("surrogate", self._parts.plan.search.strategy, document)

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _known(self) -> list[TrialRecord]:
        return [self._records[index] for index in sorted(self._records)]

    @property
    def _strategy(self) -> Strategy:
        """The strategy, told every trial so far."""
        if self._told is None:
            records = self._known
            self._told = self._parts.make_strategy(self._corrected)
            for record in records:
                self._told.tell(Observation.of(record))
        return self._told

    def _next_design(self) -> Suggestion | None:
        """A known network of the space that is feasible and has not been tried."""
        plan = self._parts.plan
        # A strategy that trains candidates briefly first has its own shares for that, and would compare unequal ones.
        if not plan.search.designs or self._strategy.least_share < 1.0:
            return None
        designs = list(self._problem.space.known_designs().values())
        # In a short search no more than a quarter of the trials, beyond the first few.
        designs = designs[: max(int(min(trials_expected(plan) / 4, len(designs))), FEW_DESIGNS)]
        tried = [record.vector for record in self._records.values() if record.origin == DESIGN]
        if not (left := [vector for vector in designs if vector not in tried]):
            return None
        feasible = self._corrected.feasible(self._problem.space.to_array(left))
        possible = (vector for vector, fits in zip(left, feasible, strict=True) if fits)
        return next((Suggestion(vector, DESIGN) for vector in possible), None)

    @property
    def _corrected(self) -> Problem:
        """What is searched now, within limits that no trial has shown to be too high."""
        return replace(self._problem, limits=corrected_limits(self._problem.limits, self._known))

    def _widen(self) -> None:
        """Take over what has been widened, here or on another machine, and extend what the leaders crowd now."""
        if not self._parts.plan.search.widen or self._looked_at:
            return
        self._looked_at = True
        store = self._parts.store
        kept = store.plan().widenings
        self._follow(kept)
        with self._parts.computing():
            new = next_widenings(self._corrected, self._known, kept)
        if new:
            store.widen((*kept, *new))
            self._parts.listener.on_note(widenings_in_words(new))
            self._follow((*kept, *new))

    def _follow(self, widenings: tuple[Widening, ...]) -> None:
        """Search within the ranges as they have been widened."""
        if widenings == self._widenings:
            return
        self._widenings = widenings
        ranges = {one.parameter: (one.low, one.high) for one in widenings}
        self._problem = replace(self._problem, space=self._problem.space.replace(ranges=ranges))
        self._told = None  # a strategy is made anew from the problem and what is known
        self._ahead.clear()

    def _blueprint(self, index: int) -> Blueprint:
        if index not in self._blueprints:
            self._blueprints[index] = self._parts.store.blueprint(index)
        return self._blueprints[index]

    def _proposal(self, suggestion: Suggestion, session: int) -> Proposal:
        problem, plan = self._problem, self._parts.plan
        row = problem.space.to_array([suggestion.vector])
        blueprint, costs = problem.blueprint(row[0]), problem.price(row)
        index = max(self._records, default=-1) + 1
        seed = trial_seed(plan.search.seed, index)
        job = job_of(plan, blueprint.to_dict(), seed=seed, share=suggestion.share)
        record = with_job(
            TrialRecord(
                index=index,
                vector=dict(suggestion.vector),
                blueprint_key=blueprint.key,
                origin=suggestion.origin,
                state="running",
                session=session,
                params=int(costs.params[0]),
                macs=int(costs.macs[0]),
                memory=int(costs.memory[0]),
                share=suggestion.share,
            ),
            job,
        )
        broken = [rule for rule, excluded in problem.excluded(row).items() if excluded[0]]
        twin = self._by_key.get((blueprint.key, suggestion.share))
        if broken:
            reason = f"Exceeds {' and '.join(broken)}."
            record = replace(record, state="infeasible", cause="limit", reason=reason)
        elif twin is not None:
            record = _repeat(record, self._records[twin])
        else:
            self._blueprints[index] = blueprint
        return Proposal(record, job)


def trial_seed(study_seed: int, index: int) -> int:
    """The seed of a trial's initialisation and data order, decided by the study's seed and the trial's index alone."""
    return int(np.random.SeedSequence([study_seed, index]).generate_state(1)[0])


def _repeat(record: TrialRecord, twin: TrialRecord) -> TrialRecord:
    """The record of a network that another trial has trained: the same result, no second training."""
    return replace(
        record,
        state="completed",
        repeat_of=twin.index,
        reason=f"The same network as trial {twin.index}, which was trained already.",
        top1=twin.top1,
        top5=twin.top5,
        objective=twin.objective,
        training_seconds=0.0,
        wall_seconds=0.0,
        device=twin.device,
    )
