"""A study as a person opens it: its plan, its trials, its best network. Reading it loads no torch."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from betanas.blueprint import Blueprint, BlueprintBatch
from betanas.errors import BlueprintError, StudyError
from betanas.files import open_unlinked
from betanas.intervals import MeanInterval
from betanas.search.bounds import crowded_in, on_bounds
from betanas.search.chance import advice, median_epochs
from betanas.search.comparable import leader, partly_trained
from betanas.search.compared import ComparedRow, compared_rows
from betanas.search.confirmed import Confirmation, confirmed_by_trials, read_confirmations
from betanas.search.front import pareto_front
from betanas.search.objectives import Pareto
from betanas.search.records import Attachment, ComparisonPlan, SessionRecord, StudyPlan, StudyState, TrialRecord
from betanas.search.settings import ENDLESS
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import is_locked
from betanas.search.store.store import Request, Store
from betanas.training.job import Job
from betanas.training.recipe import Recipe

_LONGEST_LOG = 64 * 2**20

BestBy = Literal["confirmed", "observed", "model"]


@dataclass(frozen=True, slots=True)
class Best:
    """A study's best network.

    Attributes:
        by: `confirmed`: the best mean of fresh trainings (`betanas confirm`); `observed`: the trial with the best
            objective; `model`: the maximum of the strategy's model over the feasible space, in general never trained.
        trial: the trial's index; None for the model's maximum.
        vector: its parameter vector.
        blueprint: its network.
        objective: the trial's, or the model's mean there.
        accuracy: validation top-1 in [0, 1], the mean where it is confirmed; None for the model's.
        deviation: standard deviation of the model's prediction; None for a trial.
        interval: the confirmed mean with its 95% interval.
        share: part of the budget that the trial had; below 1 where no trial has had the whole yet.
    """

    by: BestBy
    trial: int | None
    vector: Mapping[str, float]
    blueprint: Blueprint
    objective: float | None
    accuracy: float | None
    deviation: float | None = None
    interval: MeanInterval | None = None
    share: float = 1.0


class Study:
    """A search and everything it found, kept in a directory or a PostgreSQL database.

    Started with `betanas.search`; opened again, at any time and from anywhere, with `Study.open`:

        study = bn.Study.open("runs/photos")
        study.status()["trials"], study.best().accuracy, study.trials()

    A running search can be opened too; what is read is as it stands at that moment. Usable as a context manager.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def open(cls, location: str | Path, *, read_only: bool = True) -> Self:
        """Open an existing study, to look at it: `bn.Study.open("runs/photos")`. It loads neither torch nor a model.

        Args:
            location: its directory (the one that `study=` or `--study` named), or
                `postgresql://user@host/database?study=NAME`.
            read_only: without writing a byte; False for one whose requests or plan are to be changed.

        Raises:
            StudyError: there is no study, it is damaged, or it was written by a newer version.
        """
        return cls(Store.open(StudyLocation.parse(location), read_only=read_only))

    @property
    def name(self) -> str:
        """The study's name: its directory's, or the one in the database."""
        return self._store.location.name

    @property
    def location(self) -> str:
        """Where it lives, as typed."""
        return self._store.location.text

    @property
    def directory(self) -> Path | None:
        """Its directory; None where the store is PostgreSQL."""
        return self._store.location.directory

    @property
    def plan(self) -> StudyPlan:
        """What decides the search, with the number of trials as it stands now.

        Raises:
            StudyError: the study is a comparison, or its plan is damaged.
        """
        return self._store.plan()

    @property
    def is_comparison(self) -> bool:
        """Whether the study trains networks that it was given, instead of searching for some."""
        return self._store.is_comparison

    @property
    def created(self) -> datetime:
        """When it was started."""
        return self._store.created()

    @property
    def state(self) -> StudyState:
        """Whether it is being searched now, and otherwise how the last search ended."""
        return self.state_of(self.sessions(), self.trials())

    def state_of(self, sessions: Sequence[SessionRecord], records: Sequence[TrialRecord]) -> StudyState:
        """The state, as `state` is, where sessions and trials have been read already."""
        if not sessions:  # an older comparison's trainings have none
            return "finished" if records and _usable(records) >= self._store.trials_planned() else "new"
        if self._is_searched_now():
            return "paused" if self._store.request() == "pause" else "running"
        # However a confirmation ends, it leaves the search as it was.
        apart = self._store.confirming_sessions()
        last = next((each for each in reversed(sessions) if each.index not in apart), sessions[-1])
        exhausted = any(session.ending == "exhausted" for session in sessions) or last.ending == "out_of_time"
        if last.ending != "failed" and (exhausted or _usable(records) >= self._store.trials_planned()):
            return "finished"
        return last.ending if last.ending in ("paused", "failed") else "interrupted"  # type: ignore[return-value]

    def trials(self, *, curves: bool = False, most_curves: int | None = None) -> tuple[TrialRecord, ...]:
        """Every trial in order.

        Args:
            curves: each with its learning curve.
            most_curves: none with its curve where there are more trials than this.
        """
        return self._store.trials(curves=curves, most_curves=most_curves)

    def trained(self) -> int:
        """How many trials count towards the planned ones: those that were trained, whatever became of them."""
        return _usable(self.trials())

    def trial(self, index: int) -> TrialRecord:
        """One trial with its learning curve.

        Raises:
            StudyError: there is no such trial.
        """
        return self._store.trial(index)

    def blueprint(self, index: int) -> Blueprint:
        """The network of a trial.

        Raises:
            StudyError: there is no such trial.
        """
        return self._store.blueprint(index)

    def attempts(self, index: int) -> tuple[Mapping[str, Any], ...]:
        """What happened to each attempt at a trial."""
        return self._store.attempts(index)

    def log(self, index: int) -> str:
        """What a trial printed; empty where nothing was kept."""
        logs = self._store.location.logs
        if logs is None or logs.is_symlink():
            return ""
        try:
            with open_unlinked(logs / f"trial-{index:05d}.log", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)) as file:
                return file.read(_LONGEST_LOG).decode(errors="replace")
        except OSError:
            return ""

    def sessions(self) -> tuple[SessionRecord, ...]:
        """Every process that searched, in order."""
        return self._store.sessions()

    def attachments(self, kind: str | None = None) -> tuple[Attachment, ...]:
        """Documents kept beside the trials: exported surrogates, comparisons, confirmations."""
        return self._store.attachments(kind)

    def confirmations(self) -> tuple[Confirmation, ...]:
        """The networks that were trained again with fresh seeds, best mean first."""
        return read_confirmations(self._store)

    def retrained(self) -> tuple[Confirmation, ...]:
        """Those confirmations whose trainings are trials; earlier versions kept attachments."""
        return confirmed_by_trials(self._store)

    @property
    def damaged(self) -> tuple[str, ...]:
        """What cannot be read and is left out, in words."""
        return self._store.damage

    def baselines(self) -> tuple[TrialRecord, ...]:
        """The plain networks that the search trained first, to be compared with."""
        return self._store.trials(apart="baseline")

    def recipes(self) -> Mapping[str, Recipe]:
        """The recipes that trials trained with, by the digests in their records."""
        return self._store.recipes()

    def compared(self) -> tuple[ComparedRow, ...]:
        """The rows of a comparison, best first."""
        return compared_rows(self.trials(), self.recipes())

    def job(self, index: int) -> Job:
        """What is trained in a trial.

        Raises:
            StudyError: there is no such trial, or it is of before trials held their jobs.
        """
        return self._store.job(index)

    @property
    def comparison(self) -> ComparisonPlan:
        """The plan of a comparison.

        Raises:
            StudyError: the study is a search.
        """
        return self._store.comparison()

    def best(self, by: BestBy | None = None, *, trust_files: bool = False) -> Best:
        """The best network: the best confirmed one, the best trial, or the maximum of the strategy's model.

        Args:
            by: which of them; None takes the confirmed one where there is one, and else the best trial.
            trust_files: whether the Python files that the study names may be run (the model's maximum needs its space).

        Raises:
            StudyError: no trial has completed, the strategy has no model (yet), or it would run a file untrusted.
        """
        if by == "model":
            return self._best_by_model(trust_files)
        confirmed = [one for one in self.confirmations() if one.interval] if by != "observed" else []
        if confirmed:
            found = confirmed[0]
            mean = found.interval.mean if found.interval else None
            return Best("confirmed", found.trial, found.vector, found.blueprint, mean, mean, interval=found.interval)
        if by == "confirmed":
            raise StudyError(
                "The confirmed best needs a confirmation.",
                value=self.location,
                hint=f"Type betanas confirm {shlex.quote(self.location)}.",
            )
        best = leader(self.trials())
        if best is None:
            raise StudyError(
                "A study's best network needs a completed trial.",
                value=self.location,
                hint="Let the search go on.",
            )
        vector, blueprint = dict(best.vector), self.blueprint(best.index)
        return Best("observed", best.index, vector, blueprint, best.objective, best.top1, share=best.share)

    def on_bounds(self) -> str:
        """Which ranges the search has widened, and at which ends its best trials crowd, in words; empty for neither."""
        return on_bounds(self.plan, self.trials(), study=shlex.quote(self.location))

    def front(self) -> tuple[TrialRecord, ...]:
        """The trials that none beats in accuracy and the objective's cost at once, cheapest first.

        Empty where the study's objective is no front.
        """
        return self._front(self.trials())

    def latencies(self, records: Sequence[TrialRecord]) -> dict[int, float]:
        """The seconds that trials' networks take to answer, as the study's latency table predicts them, by index.

        Empty where the study has no table; a trial whose network is damaged has none.
        """
        table = None if self.is_comparison else self.plan.limits.latency_table
        networks: dict[int, Blueprint] = {}
        for record in records if table is not None else ():
            with suppress(BlueprintError):
                networks[record.index] = self.blueprint(record.index)
        if table is None or not networks:
            return {}
        return dict(zip(networks, table.predict(BlueprintBatch.of([*networks.values()])).tolist(), strict=True))

    def _front(self, records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
        objective = self.plan.search.objective
        if not isinstance(objective, Pareto):
            return ()
        latencies = self.latencies(records) if objective.cost == "latency" else {}
        return pareto_front(records, objective.cost, latencies)

    def status(self) -> dict[str, Any]:
        """How the study stands, as plain JSON values (`interface.md`, `status --json`)."""
        records, sessions = self.trials(curves=True), self.sessions()
        state = self.state_of(sessions, records)
        counts, planned = Counter(record.state for record in records), self._store.trials_planned()
        running = counts["running"] if state in ("running", "paused") else 0
        found = {
            "study": self.location,
            "kind": "comparison" if self.is_comparison else "search",
            "state": state,
            "trials": {
                **{name: counts[name] for name in ("completed", "stopped", "infeasible", "failed")},
                "running": running,
                "cut_off": counts["running"] - running,
                "planned": None if planned == ENDLESS else planned,
            },
            "epochs": median_epochs(records),
            "sessions": len(sessions),
            "damaged": list(self.damaged),
            "wall_seconds": round(sum(session.seconds for session in sessions), 3),
            "training_seconds": round(sum(record.training_seconds or 0.0 for record in records), 3),
        }
        return {**found, **(self._compared_status(records) if self.is_comparison else self._searched_status(records))}

    def _compared_status(self, records: Sequence[TrialRecord]) -> dict[str, Any]:
        """What only a comparison's status says."""
        rows = [row for row in self.compared() if row.top1 is not None]
        first = rows[0] if rows else None
        trial = next((r for r in records if first and (r.name, r.resolution) == (first.name, first.resolution)), None)
        best = (
            trial
            and first
            and first.top1
            and {
                "trial": trial.index,
                "name": first.name,
                "accuracy": first.top1.mean,
                "params": first.params,
                "macs": first.macs,
                "vector": dict(trial.vector),
            }
        )
        return {"networks": list(dict.fromkeys(record.name for record in records)), "best": best or None}

    def _searched_status(self, records: Sequence[TrialRecord]) -> dict[str, Any]:
        """What only a search's status says."""
        plan = self.plan
        best, front = leader(records), self._front(records)
        latencies = self.latencies([*front, *([best] if best else [])])
        return {
            "space": plan.search.space,
            "blocks": plan.search.blocks,
            "data": plan.data.source,
            "resolution": plan.resolution,
            "budget": str(plan.training.budget),
            "strategy": plan.search.strategy,
            "objective": asdict(plan.search.objective),
            "best": best
            and {
                "trial": best.index,
                "accuracy": best.top1,
                "objective": best.objective,
                "share": best.share,
                "params": best.params,
                "macs": best.macs,
                "latency": latencies.get(best.index),
                "vector": dict(best.vector),
            },
            "front": [
                {
                    "trial": record.index,
                    "accuracy": record.top1,
                    "params": record.params,
                    "macs": record.macs,
                    "latency": latencies.get(record.index),
                }
                for record in front
            ],
            "advice": advice(plan, records) or partly_trained(best),
            "lessons": [{"title": one.title, "trials": len(one.values)} for one in plan.lessons],
            "widened": [asdict(one) for one in plan.widenings],
            "crowded": [asdict(one) for one in crowded_in(plan, records)],
            "bounds": on_bounds(plan, records, study=shlex.quote(self.location)),
            "stopping": _stopping(plan, records),
            "baselines": [
                {"name": one.name, "accuracy": one.top1, "params": one.params, "macs": one.macs, "state": one.state}
                for one in self.baselines()
            ],
        }

    # Asking something of a search that runs -----------------------------------------------------------------

    def request(self, request: Request) -> None:
        """Ask the search to `run`, to `pause` (end after the current trials) or to `stop` (end now)."""
        self._store.set_request(request)

    def set_trials_planned(self, trials: int) -> None:
        """Change how many trials the search is to run.

        Raises:
            StudyError: the number is not positive, or smaller than that of the trials that are trained already.
        """
        if trials < max(1, self.trained()):
            raise StudyError(
                "The planned trials are all of a study's, those that are trained already too.",
                value=f"{trials}, of which {self.trained()} are trained",
            )
        self._store.set_trials_planned(trials)

    def attach(self, kind: str, name: str, document: Mapping[str, Any]) -> None:
        """Keep a document beside the trials; it takes the place of an older one of the same kind and name."""
        self._store.attach(kind, name, document)

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Study({self.location!r})"

    # --------------------------------------------------------------------------------------------------------

    def _is_searched_now(self) -> bool:
        if self.directory is not None:
            return is_locked(self.directory)
        return bool(self._store.living_sessions())

    def _best_by_model(self, trust_files: bool) -> Best:
        from betanas.search.planning import strategy_of
        from betanas.trust import check_trust
        from betanas.userfile import run_plugins

        check_trust(self.plan, trusted=trust_files, code_only=True)
        run_plugins(self.plan.search.plugins)
        records = self.trials()
        strategy = strategy_of(self.plan, records)
        prediction = strategy.predict_best()
        if prediction is None:
            raise StudyError(
                "The model's best needs a strategy with a model, and enough trials.",
                value=f"{self.plan.search.strategy}, {_usable(records)} trials",
                hint="Type --by observed, or let the search go on.",
            )
        row = strategy.problem.space.to_array([prediction.vector])
        return Best(
            by="model",
            trial=None,
            vector=dict(prediction.vector),
            blueprint=strategy.problem.blueprint(row[0]),
            objective=prediction.mean,
            accuracy=None,
            deviation=prediction.deviation,
        )


def _usable(records: Sequence[TrialRecord]) -> int:
    """Trials that count towards the planned ones: what is infeasible counts in a comparison alone."""
    still = [record for record in records if record.state in ("waiting", "running")]
    infeasible = [record for record in records if record.state == "infeasible" and record.purpose == "search"]
    return len(records) - len(still) - len(infeasible)


def _stopping(plan: StudyPlan, records: Sequence[TrialRecord]) -> dict[str, Any] | None:
    """What early stopping saved and how often it was wrong; None where the study's trials are not stopped early."""
    if not plan.training.stop_early:
        return None
    from betanas.search.planning import stopping_rule  # scipy's, which takes a moment to load
    from betanas.search.stopping import stopping_report

    rule = stopping_rule(plan)
    return asdict(stopping_report(records, rule)) if rule else None
