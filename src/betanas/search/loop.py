"""The search loop: ask the strategy, hand trials to the executor, write down what comes back."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from betanas.blueprint import Blueprint
from betanas.errors import BetanasError, SpaceExhausted
from betanas.search.allowance import Allowance
from betanas.search.executors.base import (
    Executor,
    ExecutorEvent,
    TrialEnded,
    TrialJob,
    TrialPoint,
    WorkerReady,
)
from betanas.search.failures import MAX_FAILURES_IN_A_ROW, failing_steadily, worth_another_attempt
from betanas.search.feasibility import Problem, corrected_limits
from betanas.search.progress import SearchListener
from betanas.search.propose.base import Observation, Strategy, Suggestion
from betanas.search.records import StudyPlan, TrialRecord, result_fields
from betanas.search.scoring import Score
from betanas.search.stopping import StoppingRule, Verdict
from betanas.search.store.store import Store
from betanas.training.result import CurvePoint, TrialResult

StrategyFactory = Callable[[Problem], Strategy]

_POLL_SECONDS = 1.0

# How often a search learns what others in the same database have done, apart from before each suggestion.
_SYNCHRONISE_SECONDS = 5.0


class SearchFailedError(BetanasError):
    """The search cannot go on: its trials all fail."""


@dataclass(frozen=True, eq=False)
class SearchParts:
    """What a search is made of.

    Attributes:
        store: where everything is written, before anything else happens.
        plan: the study's plan.
        problem: the plan's space, images and limits.
        make_strategy: a fresh strategy for a problem.
        score: what is maximised, from a finished trial and its network; None where it has no value.
        executor: who trains.
        listener: who is told.
        session: the number of this search session.
        stopping: when a trial has no chance any more; None trains every trial to its end.
        allowance: what is left of the search's time; None where the planned trials alone end it.
    """

    store: Store
    plan: StudyPlan
    problem: Problem
    make_strategy: StrategyFactory
    score: Score
    executor: Executor
    listener: SearchListener
    session: int
    stopping: StoppingRule | None = None
    allowance: Allowance | None = None


class SearchLoop:
    """Runs a study from wherever it stands to its planned end.

    The store is written before the world moves on: a trial is in it before it is handed out and its result before the
    next suggestion, so a search killed at any moment loses at most the training seconds of the trials in progress.
    """

    def __init__(self, parts: SearchParts) -> None:
        self._parts = parts
        self._records: dict[int, TrialRecord] = {}
        self._blueprints: dict[int, Blueprint] = {}
        self._by_key: dict[str, int] = {}
        self._retries: deque[TrialRecord] = deque()
        self._cut_off: deque[TrialRecord] = deque()
        self._running: dict[int, list[CurvePoint]] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._ahead: deque[Suggestion] = deque()
        self._exhausted = False
        self._thinking = 0.0
        self._last_ended: tuple[TrialRecord, ...] = ()
        self._strategy = self._fresh_strategy()
        self._synchronised = 0.0
        self._synchronise()

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """The trials so far, in the order of their index."""
        return tuple(self._records[index] for index in sorted(self._records))

    def run(self) -> str:
        """Search to the end.

        Returns:
            How it ended: `finished`, `exhausted` where it finished since every network had been tried, `out_of_time`
            where its time was used up, or `paused` where a person asked for it.

        Raises:
            SearchFailedError: trial after trial fails.
            LimitError: almost nothing of the space is feasible.
        """
        executor = self._parts.executor
        while True:
            request = self._parts.store.request()
            if request == "stop":
                return "paused"
            wanted = self._wanted() if request == "run" else 0
            waits = request == "run" and self._has_time() and self._others_run()
            if wanted == 0 and not self._running and not waits:
                return self._ending() if request == "run" else "paused"
            for _ in range(min(wanted, executor.idle)):
                self._begin_next()
            if executor.proposes_ahead and not self._parts.store.shared and not self._ahead and self._wanted() > 0:
                self._ahead.extend(self._suggest(1))
            for event in executor.poll(max(0.0, min(_POLL_SECONDS, self._seconds_left()))):
                self._handle(event)
            if self._seconds_left() <= 0:
                return self._ending()
            if self._parts.store.shared and time.monotonic() - self._synchronised > _SYNCHRONISE_SECONDS:
                self._synchronise()

    def export_surrogate(self) -> None:
        """Keep the strategy's model as plain data beside the trials, for analyses that have neither torch nor Ax."""
        with self._parts.executor.proposing() as threads:
            self._strategy.threads = threads
            document = self._strategy.export_surrogate()
        if document is not None:
            self._parts.store.attach("surrogate", self._parts.plan.search.strategy, document)

    # Starting trials -------------------------------------------------------------------------------------------------

    def _wanted(self) -> int:
        """How many trials are to be started, new ones and such as are started again."""
        return self._remaining() + len(self._cut_off) + len(self._retries) if self._has_time() else 0

    def _seconds_left(self) -> float:
        allowance = self._parts.allowance
        return math.inf if allowance is None else allowance.seconds_left(thinking=self._thinking)

    def _has_time(self) -> bool:
        """Whether one more trial would end within the search's time."""
        allowance = self._parts.allowance
        return allowance is None or allowance.allows_another(self.records, thinking=self._thinking)

    def _remaining(self) -> int:
        """How many new trials are to be started."""
        if self._exhausted:
            return len(self._ahead)
        return self._strategy.remaining(self._parts.store.trials_planned())

    def _ending(self) -> str:
        if not self._exhausted and not self._has_time() and self._remaining() > 0:
            self._parts.listener.on_note("The search's time is used up: not even one more trial would end within it.")
            return "out_of_time"
        return "exhausted" if self._exhausted else "finished"

    def _begin_next(self) -> None:
        store = self._parts.store
        with store.turn():
            if store.shared:
                self._synchronise()
            if self._cut_off or self._retries:
                self._restart((self._cut_off or self._retries).popleft())
            elif self._remaining() > 0:
                if not self._ahead:
                    self._ahead.extend(self._suggest(1))
                if self._ahead and self._has_time():
                    self._begin(self._ahead.popleft())

    def _synchronise(self) -> None:
        """Learn what other searches of the study have done, and which trials a dead one has left behind."""
        self._synchronised = time.monotonic()
        for record in self._parts.store.trials(curves=self._parts.stopping is not None):
            if record.index not in self._running and self._records.get(record.index) != record:
                self._note(record)
                self._remember_network(record)
        living = {self._parts.session, *self._parts.store.living_sessions()}
        self._cut_off = deque(
            record for record in self.records if record.state == "running" and record.session not in living
        )

    def _others_run(self) -> bool:
        """Whether trials are in progress elsewhere: should their machine die, they are to be started again here."""
        return self._parts.store.shared and any(record.state == "running" for record in self.records)

    def _suggest(self, count: int) -> list[Suggestion]:
        """New candidates; none where the space has no more, which completes the search."""
        self._parts.listener.on_suggesting()
        begun = time.monotonic()
        try:
            with self._parts.executor.proposing() as threads:
                self._strategy.threads = threads
                return self._strategy.ask(count)
        except SpaceExhausted as end:
            self._exhausted = True
            self._parts.listener.on_note(f"The search is complete before its planned trials are run. {end}")
            return []
        finally:
            self._thinking = time.monotonic() - begun

    def _begin(self, suggestion: Suggestion) -> None:
        parts = self._parts
        row = parts.problem.space.to_array([suggestion.vector])
        blueprint, costs = parts.problem.blueprint(row[0]), parts.problem.price(row)
        index = max(self._records, default=-1) + 1
        record = TrialRecord(
            index=index,
            vector=dict(suggestion.vector),
            blueprint_key=blueprint.key,
            origin=suggestion.origin,
            state="running",
            seed=trial_seed(parts.plan.search.seed, index),
            session=parts.session,
            params=int(costs.params[0]),
            macs=int(costs.macs[0]),
            memory=int(costs.memory[0]),
            started=parts.store.now(),
        )
        broken = [rule for rule, excluded in parts.problem.excluded(row).items() if excluded[0]]
        twin = self._by_key.get(blueprint.key)
        if broken:
            record = replace(
                record,
                state="infeasible",
                cause="limit",
                reason=f"Exceeds {' and '.join(broken)}.",
                ended=parts.store.now(),
            )
        elif twin is not None:
            record = _repeat(record, self._records[twin], ended=parts.store.now())
        parts.store.add_trial(record, blueprint)
        self._note(record)
        if record.state == "running":
            self._blueprints[index] = blueprint
            self._hand_over(record, blueprint)
        else:
            parts.listener.on_trial_ended(record)

    def _restart(self, record: TrialRecord) -> None:
        store, session = self._parts.store, self._parts.session
        attempt = store.restart_trial(record.index, session)
        record = replace(record, attempts=attempt, session=session, started=store.now(), state="running")
        self._note(record)
        if record.index not in self._blueprints:
            self._blueprints[record.index] = self._parts.store.blueprint(record.index)
        self._hand_over(record, self._blueprints[record.index])

    def _hand_over(self, record: TrialRecord, blueprint: Blueprint) -> None:
        self._running[record.index] = []
        self._parts.executor.submit(
            TrialJob(record.index, record.attempts, blueprint, self._parts.plan.training.budget, record.seed)
        )
        self._parts.listener.on_trial_started(record)

    # What comes back -------------------------------------------------------------------------------------------------

    def _handle(self, event: ExecutorEvent) -> None:
        parts = self._parts
        if isinstance(event, WorkerReady):
            parts.listener.on_workers_ready(event.device)
        elif isinstance(event, TrialPoint):
            parts.store.add_point(event.index, event.attempt, event.point)
            parts.listener.on_point(self._records[event.index], event.point)
            if parts.stopping is not None:
                self._judge(event, parts.stopping)
        elif isinstance(event, TrialEnded):
            self._running.pop(event.index, None)
            self._end(event)

    def _judge(self, event: TrialPoint, rule: StoppingRule) -> None:
        """Let a running trial go on, or end it where it has no chance any more."""
        curve = self._running[event.index]
        curve.append(event.point)
        history = [record.curve for record in self.records if record.state == "completed" and record.curve]
        verdict = rule.decide(curve, history, index=event.index)
        if verdict.stop:
            self._verdicts[event.index] = verdict
        self._parts.executor.answer(event.index, go_on=not verdict.stop)

    def _end(self, event: TrialEnded) -> None:
        parts, record, result = self._parts, self._records[event.index], event.result
        if result.outcome == "failed":
            earlier = [(past["cause"], past["reason"]) for past in parts.store.attempts(event.index) if past["cause"]]
            if worth_another_attempt(result, earlier):
                parts.store.end_attempt(event.index, event.attempt, result)
                parts.listener.on_trial_retried(record, result)
                self._retries.append(record)
                return
        ended = finished_record(record, result, ended=parts.store.now())
        value = self._value(ended)
        ended = replace(ended, objective=value)
        if not parts.store.end_trial(event.index, event.attempt, result, objective=value):
            return
        self._blueprints.pop(event.index, None)
        self._note(ended)
        self._remember_network(ended)
        parts.listener.on_trial_ended(ended)
        if result.cause == "out_of_memory":
            self._strategy = self._fresh_strategy()
            self._ahead.clear()
            parts.listener.on_note(
                f"Trial {record.index} ran out of memory although {record.memory:,} bytes were predicted: "
                "the memory limit is lowered below that."
            )
        self._last_ended = (*self._last_ended, ended)[-MAX_FAILURES_IN_A_ROW:]
        if trouble := failing_steadily(self._last_ended):
            raise SearchFailedError(trouble, hint="Mend the cause, then go on with: betanas resume.")

    def _value(self, ended: TrialRecord) -> float | None:
        """The objective; of a trial that was stopped early, at the accuracy that it was expected to end with."""
        verdict = self._verdicts.pop(ended.index, None)
        if ended.state == "stopped" and verdict is not None:
            ended = replace(ended, top1=verdict.predicted)
        return None if ended.top1 is None else self._parts.score(ended, self._blueprints[ended.index])

    # -----------------------------------------------------------------------------------------------------------------

    def _fresh_strategy(self) -> Strategy:
        limits = corrected_limits(self._parts.problem.limits, self.records)
        strategy = self._parts.make_strategy(replace(self._parts.problem, limits=limits))
        for record in self.records:
            strategy.tell(Observation.of(record))
        return strategy

    def _note(self, record: TrialRecord) -> None:
        self._records[record.index] = record
        self._strategy.tell(Observation.of(record))

    def _remember_network(self, record: TrialRecord) -> None:
        if record.state == "completed" and record.repeat_of is None:
            self._by_key.setdefault(record.blueprint_key, record.index)


def trial_seed(study_seed: int, index: int) -> int:
    """The seed of a trial's initialisation and data order, decided by the study's seed and the trial's index alone."""
    return int(np.random.SeedSequence([study_seed, index]).generate_state(1)[0])


def finished_record(record: TrialRecord, result: TrialResult, *, ended: datetime) -> TrialRecord:
    """A running trial's record once its result is known (the objective is still to come)."""
    return replace(record, **result_fields(result), ended=ended, curve=result.curve)


def _repeat(record: TrialRecord, twin: TrialRecord, *, ended: datetime) -> TrialRecord:
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
        ended=ended,
    )
