from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from misbehaviour import MISBEHAVIOUR_FILE
from older_plans import flat_document
from sqlalchemy import text

import betanas as bn
from betanas.cli.main import run
from betanas.errors import LimitError, StudyError
from betanas.search.executors.base import (
    Assignment,
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    TrialPoint,
    TrialStarted,
    WorkerSetup,
)
from betanas.search.failures import MAX_ATTEMPTS, failing_steadily, worth_another_attempt
from betanas.search.feasibility import Problem, corrected_limits
from betanas.search.loop import LoopParts, SearchFailedError, StudyLoop
from betanas.search.planning import make_strategy, plan_search, problem_of, stopping_rule
from betanas.search.progress import SearchListener
from betanas.search.propose.base import Strategy, Suggestion
from betanas.search.records import StudyPlan, TrialRecord, network_key
from betanas.search.settings import Limits, ResumeSettings
from betanas.search.stopping import StoppingRule
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.search.studies.search import SearchParts, StrategyProposer, trial_seed
from betanas.search.study import Study
from betanas.training.budget import Budget
from betanas.training.result import CurvePoint, TrialResult

Script = Callable[[Assignment], TrialResult]


class ScriptedExecutor(Executor):
    """Trains nothing: gives the results that a test wrote down, for tests of what the loop does with them."""

    name = "scripted"

    def __init__(self, setup: WorkerSetup, script: Script, capacity: int = 1) -> None:
        super().__init__(setup, ExecutorSettings())
        self._script = script
        self._capacity = capacity
        self._jobs: list[Assignment] = []
        self.submitted: list[Assignment] = []

    def start(self) -> None:
        pass

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def idle(self) -> int:
        return self._capacity - len(self._jobs)

    def submit(self, job: Assignment) -> None:
        self._jobs.append(job)
        self.submitted.append(job)

    def poll(self, timeout: float) -> list[ExecutorEvent]:
        jobs, self._jobs = self._jobs, []
        events: list[ExecutorEvent] = []
        for job in jobs:
            events += [
                TrialStarted(job.index, job.attempt, "nowhere"),
                TrialEnded(job.index, job.attempt, self._script(job)),
            ]
        return events

    def answer(self, index: int, step: int, *, go_on: bool) -> None:
        pass

    def close(self) -> None:
        self._jobs = []


def completed(job: Assignment) -> TrialResult:
    """A result that depends on the network alone."""
    accuracy = (int(network_key(job.job.network), 16) % 1000) / 1000
    return TrialResult("completed", top1=accuracy, training_seconds=1.0, wall_seconds=1.0)


def failed(_job: Assignment) -> TrialResult:
    return TrialResult("failed", cause="worker_lost", reason="The worker process died: it was killed by SIGKILL.")


def loop_over(
    store: Store,
    setup: WorkerSetup,
    script: Script,
    *,
    capacity: int = 1,
    listener: SearchListener | None = None,
    stopping: StoppingRule | None = None,
) -> tuple[StudyLoop, ScriptedExecutor]:
    executor = ScriptedExecutor(setup, script, capacity)
    return loop_with(store, executor, listener=listener, stopping=stopping), executor


def loop_with(
    store: Store,
    executor: Executor,
    *,
    listener: SearchListener | None = None,
    stopping: StoppingRule | None = None,
    strategy: Callable[[Problem], Strategy] | None = None,
) -> StudyLoop:
    plan, listener = store.plan(), listener or SearchListener()
    session = store.begin_session(host="", pid=0, command="", versions={}, hardware={})
    parts = SearchParts(
        store=store,
        plan=plan,
        problem=problem_of(plan),
        make_strategy=strategy or (lambda problem: make_strategy(plan, problem)),
        score=lambda record, _blueprint: record.top1,
        computing=executor.proposing,
        listener=listener,
        stopping=stopping,
    )
    return StudyLoop(
        LoopParts(store, StrategyProposer(parts), executor, listener, session, curves=stopping is not None)
    )


def suggestions(records: Sequence[TrialRecord]) -> list[tuple[float, ...]]:
    return [tuple(record.vector.values()) for record in records]


def test_runs_the_planned_trials(store: Store, digits_setup: WorkerSetup) -> None:
    loop, executor = loop_over(store, digits_setup, completed)
    assert loop.run() == "finished"
    records = store.trials()
    assert [record.state for record in records] == ["completed"] * 4
    assert [record.index for record in records] == [0, 1, 2, 3]
    assert [each.job.seed for each in executor.submitted] == [trial_seed(0, index) for index in range(4)]
    assert all(record.params <= 2_000_000 and record.memory <= 2**30 for record in records)


def test_a_search_that_has_tried_every_network_is_complete(
    tmp_path: Path, plan: StudyPlan, digits_setup: WorkerSetup
) -> None:
    ranges = {name: (low, low) for name, (low, _) in plan.search.ranges.items()} | {"B": plan.search.ranges["B"]}
    (tmp_path / "study").mkdir()
    small = Store.create(StudyLocation.parse(tmp_path / "study"), plan.changed(ranges=ranges, trials=500))
    notes: list[str] = []

    class Notes(SearchListener):
        def on_note(self, text: str) -> None:
            notes.append(text)

    loop, executor = loop_over(small, digits_setup, completed, capacity=2, listener=Notes())
    ending = loop.run()
    assert ending == "exhausted"
    small.end_session(0, ending)
    assert 1 < len(executor.submitted) < 500
    assert all(record.state == "completed" for record in small.trials())
    assert [note for note in notes if "complete" in note and "has not been tried" in note] == notes
    with Study.open(tmp_path / "study") as study:
        assert study.state == "finished"
    assert loop_over(small, digits_setup, completed)[0].run() == "exhausted", "also when it is asked again"
    small.close()


def test_more_trials_go_on_where_it_stopped(store: Store, digits_setup: WorkerSetup) -> None:
    loop_over(store, digits_setup, completed)[0].run()
    store.set_trials_planned(7)
    loop, executor = loop_over(store, digits_setup, completed)
    loop.run()
    assert [job.index for job in executor.submitted] == [4, 5, 6]


def test_a_short_search_is_told_how_little_of_it_is_guided(tmp_path: Path) -> None:
    notes: list[str] = []

    class Listener(SearchListener):
        def on_note(self, note: str) -> None:
            notes.append(note)

    def told(trials: int, strategy: str = "gpei") -> bool:
        notes.clear()
        settings = bn.SearchSettings(
            data="digits",
            study=str(tmp_path / "study"),
            budget="1steps",
            trials=trials,
            strategy=strategy,
            resolution=16,
        )
        plan_search(settings, Listener())
        return any("before a model guides" in note for note in notes)

    assert told(20)
    assert not told(40)
    assert not told(20, "sobol")


def test_a_search_that_has_ended_is_not_begun_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(tmp_path / "my study")
    search = ["search", "--data", "digits", "--study", place, "--budget", "1steps", "--trials", "2"]
    assert run([*search, "--resolution", "16", "--strategy", "sobol", "--executor", "inline"]) == 0
    with Study.open(place) as study:
        before = study.sessions()
    capsys.readouterr()
    assert run(["resume", place]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"All 2 trials are trained already. For more: betanas resume '{place}' --trials 22" in said
    assert run(["resume", place, "--trials", "1"]) == 2
    assert "1, of which 2 are trained" in capsys.readouterr().err
    with Study.open(place) as study:
        assert study.sessions() == before
        assert study.plan.search.trials == 2
    assert run(["resume", place, "--trials", "3"]) == 0
    assert "3 of 3 trials completed" in capsys.readouterr().out


@pytest.mark.parametrize("strategy", ["sobol", "gpei"])
@pytest.mark.parametrize("cut", [0, 2, 5])
def test_a_killed_search_goes_on_as_if_it_had_not_been(
    tmp_path: Path, plan: StudyPlan, digits_setup: WorkerSetup, strategy: str, cut: int
) -> None:
    plan = plan.changed(strategy=strategy, trials=8)
    stores = []
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
        stores.append(Store.create(StudyLocation.parse(tmp_path / name), plan))
    whole, killed = stores
    loop_over(whole, digits_setup, completed)[0].run()

    class PowerCut(BaseException):
        pass

    def until_cut(job: Assignment) -> TrialResult:
        if job.index == cut:
            raise PowerCut
        return completed(job)

    with pytest.raises(PowerCut):
        loop_over(killed, digits_setup, until_cut)[0].run()
    assert [record.state for record in killed.trials()] == ["completed"] * cut + ["running"]
    loop_over(killed, digits_setup, completed)[0].run()
    assert suggestions(killed.trials()) == suggestions(whole.trials())
    assert [record.top1 for record in killed.trials()] == [record.top1 for record in whole.trials()]
    assert killed.trial(cut).attempts == 2
    whole.close()
    killed.close()


def test_a_transient_failure_is_tried_again(store: Store, digits_setup: WorkerSetup) -> None:
    loop, executor = loop_over(store, digits_setup, lambda job: failed(job) if job.attempt == 1 else completed(job))
    loop.run()
    assert [record.state for record in store.trials()] == ["completed"] * 4
    assert all(record.attempts == 2 for record in store.trials())
    assert [attempt["cause"] for attempt in store.attempts(0)] == ["worker_lost", ""]
    assert len(executor.submitted) == 8


def test_the_same_failure_twice_is_recorded(store: Store, digits_setup: WorkerSetup) -> None:
    loop, executor = loop_over(store, digits_setup, lambda job: failed(job) if job.index == 1 else completed(job))
    loop.run()
    record = store.trial(1)
    assert (record.state, record.cause, record.attempts) == ("failed", "worker_lost", 2)
    assert "SIGKILL" in record.reason
    assert sum(job.index == 1 for job in executor.submitted) == 2


def test_different_failures_are_bounded() -> None:
    first = TrialResult("failed", cause="worker_lost", reason="killed, held 1 GiB")
    other = TrialResult("failed", cause="timeout", reason="outlived")
    third = TrialResult("failed", cause="exception", reason="ValueError")
    assert worth_another_attempt(first, [])
    assert not worth_another_attempt(replace(first, reason="killed, held 27 GiB"), [("worker_lost", first.reason)])
    assert worth_another_attempt(other, [("worker_lost", first.reason)])
    assert not worth_another_attempt(third, [("worker_lost", ""), ("timeout", "")][: MAX_ATTEMPTS - 1])
    assert not worth_another_attempt(TrialResult("failed", cause="non_finite"), [])
    pause = ("interrupted", "stopped for 30 seconds")
    assert worth_another_attempt(TrialResult("failed", *pause), [pause, pause, pause]), "says nothing of the trial"
    assert worth_another_attempt(other, [pause, pause, pause])
    assert not worth_another_attempt(TrialResult("failed", *pause), [pause] * 10)
    assert not worth_another_attempt(TrialResult("infeasible", cause="out_of_memory"), [])


def test_a_search_whose_trials_all_fail_stops_with_the_reason(store: Store, digits_setup: WorkerSetup) -> None:
    store.set_trials_planned(50)
    loop, executor = loop_over(store, digits_setup, failed)
    with pytest.raises(SearchFailedError, match=r"last 5 trials all failed.*SIGKILL"):
        loop.run()
    assert len({job.index for job in executor.submitted}) == 5


def test_one_success_among_failures_goes_on(store: Store, digits_setup: WorkerSetup) -> None:
    store.set_trials_planned(8)
    loop, _ = loop_over(store, digits_setup, lambda job: completed(job) if job.index % 4 == 3 else failed(job))
    assert loop.run() == "finished"
    assert failing_steadily(store.trials()) == ""


def test_out_of_memory_lowers_the_limit(store: Store, digits_setup: WorkerSetup) -> None:
    notes: list[str] = []

    class Listener(SearchListener):
        def on_note(self, text: str) -> None:
            notes.append(text)

    store.set_trials_planned(6)
    first: list[TrialRecord] = []

    def burst_once(job: Assignment) -> TrialResult:
        if job.index == 0:
            return TrialResult("infeasible", cause="out_of_memory", reason="did not fit")
        return completed(job)

    loop, _ = loop_over(store, digits_setup, burst_once, listener=Listener())
    loop.run()
    first = [record for record in store.trials() if record.index == 0]
    assert first[0].state == "infeasible"
    assert len([record for record in store.trials() if record.state == "completed"]) == 6, "it does not count"
    assert all(record.memory < first[0].memory for record in store.trials()[1:])
    assert "memory limit is lowered" in notes[0]
    corrected = corrected_limits(Limits(memory=2**40), store.trials())
    assert corrected.memory is not None
    assert corrected.memory < first[0].memory


def test_limits_without_bursts_stand(store: Store) -> None:
    assert corrected_limits(Limits(params=5), store.trials()) == Limits(params=5)


def test_requests_are_heeded(store: Store, digits_setup: WorkerSetup) -> None:
    def ask_to_pause(job: Assignment) -> TrialResult:
        if job.index == 1:
            store.set_request("pause")
        return completed(job)

    assert loop_over(store, digits_setup, ask_to_pause)[0].run() == "paused"
    assert len(store.trials()) == 2
    assert loop_over(store, digits_setup, completed)[0].run() == "finished"


class PatientExecutor(ScriptedExecutor):
    """Shows a curve of three points for each trial, one a poll, and obeys the verdicts."""

    def __init__(self, setup: WorkerSetup, level: Callable[[int], float]) -> None:
        super().__init__(setup, completed)
        self._level = level
        self._curve: list[CurvePoint] = []
        self._go_on = True

    def poll(self, timeout: float) -> list[ExecutorEvent]:
        if not self._jobs:
            return []
        job = self._jobs[0]
        if self._go_on and len(self._curve) < 3:
            step = len(self._curve) + 1
            self._curve.append(CurvePoint(4.0 * step, step, float(step), 1.0, self._level(job.index) * step / 3))
            return [TrialPoint(job.index, job.attempt, self._curve[-1])]
        outcome = "completed" if self._go_on else "stopped"
        last, curve = self._curve[-1], tuple(self._curve)
        self._jobs, self._curve, self._go_on = [], [], True
        result = TrialResult(outcome, top1=last.accuracy, curve=curve, training_seconds=last.seconds)
        return [TrialEnded(job.index, job.attempt, result)]

    def answer(self, index: int, step: int, *, go_on: bool) -> None:
        self._go_on = go_on


def test_losers_are_stopped_and_leaders_are_not(store: Store, digits_setup: WorkerSetup) -> None:
    store.set_trials_planned(30)
    level = lambda index: 0.1 if index >= 15 and index != 20 else 0.5 + index / 100  # noqa: E731
    executor = PatientExecutor(replace(digits_setup, stoppable=True), level)
    loop_with(store, executor, stopping=StoppingRule(12.0, seed=0, controls=0.0)).run()
    records = store.trials()
    assert {record.index for record in records if record.state == "stopped"} == {*range(15, 30)} - {20}
    stopped = records[15]
    assert stopped.training_seconds == 4.0
    assert stopped.objective is not None
    assert 0.05 < stopped.objective < 0.2, "what it was expected to reach"


def test_status_says_what_early_stopping_saved_and_how_often_it_was_wrong(
    tmp_path: Path, plan: StudyPlan, digits_setup: WorkerSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    training = replace(plan.training, stop_early=True, budget=Budget(12.0, "seconds"))
    place = tmp_path / "stopped"
    place.mkdir()
    with closing(Store.create(StudyLocation.parse(place), replace(plan, training=training))) as store:
        store.set_trials_planned(40)
        rule = stopping_rule(store.plan())
        assert rule is not None
        level = lambda index: 0.1 if index >= 12 else 0.5 + index / 100  # noqa: E731
        executor = PatientExecutor(replace(digits_setup, stoppable=True), level)
        loop_with(store, executor, stopping=rule).run()
    controls = sum(rule.is_control(index) for index in range(12, 40))
    assert 0 < controls < 28, "the seed gives some of each"
    assert run(["status", str(place), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["stopping"]
    assert (found["stopped"], found["controls"], found["wrong"]) == (28 - controls, controls, 0)
    assert run(["status", str(place)]) == 0
    text = capsys.readouterr().out
    assert f"stopped early: {28 - controls} of 40 trials" in text
    assert f"of {controls} that were trained to the end all the same, 0 would have been" in " ".join(text.split())


def test_several_workers_get_different_networks(store: Store, digits_setup: WorkerSetup) -> None:
    store.set_trials_planned(9)
    loop, executor = loop_over(store, digits_setup, completed, capacity=3)
    loop.run()
    keys = [network_key(job.job.network) for job in executor.submitted]
    assert len(keys) == len(set(keys)) == 9


def test_a_network_that_was_trained_is_not_trained_again(store: Store, digits_setup: WorkerSetup) -> None:
    vector = bn.published("betanet3") | {"G0": 1.0}
    nearly = vector | {"S0": vector["S0"] + 1e-9}

    class Scripted(Strategy):
        name = "scripted"

        def ask(self, count: int = 1) -> list[Suggestion]:
            return [Suggestion((vector, nearly)[len(self.observations)], "sobol")]

    store.set_trials_planned(2)
    executor = ScriptedExecutor(digits_setup, completed)
    loop_with(store, executor, strategy=lambda problem: Scripted(problem, seed=0)).run()
    first, second = store.trials()
    assert (second.state, second.repeat_of, second.top1) == ("completed", 0, first.top1)
    assert len(executor.submitted) == 1


def test_real_misbehaving_networks_do_not_stop_a_search(tmp_path: Path, plan: StudyPlan) -> None:
    """End to end, in real processes: every network of this space raises; the search stops with the reason."""
    with pytest.raises(SearchFailedError, match="broken on purpose"):
        bn.search(
            data="digits",
            study=str(tmp_path / "study"),
            resolution=16,
            budget="2steps",
            trials=20,
            strategy="sobol",
            plugins=(str(MISBEHAVIOUR_FILE), str(Path(__file__).with_name("misbehave_always.py"))),
            devices=("cpu",),
        )
    with Study.open(tmp_path / "study") as study:
        assert study.state == "failed"
        assert all(record.cause == "exception" for record in study.trials())
        assert len(study.trials()) == 5


def test_nothing_feasible_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="100 parameters"):
        bn.search(data="digits", study=str(tmp_path / "deep" / "study"), budget="1steps", max_params=100)
    assert list(tmp_path.iterdir()) == []


def test_own_code_needs_a_word_when_a_study_goes_on(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("import pathlib; pathlib.Path(__file__).with_name('ran').touch()")
    bn.search(
        data="digits",
        study=str(tmp_path / "study"),
        resolution=16,
        budget="1steps",
        trials=1,
        strategy="sobol",
        executor="inline",
        plugins=(str(plugin),),
    ).close()
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    with pytest.raises(StudyError, match="--trust-files"):
        bn.resume(tmp_path / "study", ResumeSettings(trials=2))
    bn.resume(tmp_path / "study").close()  # it has ended, so that nothing of it is run
    assert not (tmp_path / "ran").exists()


def test_a_strangers_options_cannot_name_code_as_data(tmp_path: Path, plan: StudyPlan) -> None:
    """Every field of a plan is looked at, those too that nothing reads."""
    planted = tmp_path / "planted.py"
    planted.write_text("import pathlib; pathlib.Path(__file__).with_name('ran').touch()")
    (tmp_path / "study").mkdir()
    store = Store.create(StudyLocation.parse(tmp_path / "study"), plan.changed(trials=1))
    hidden = flat_document(store.plan())
    hidden["options"]["data"] = str(planted)
    with store._engine.begin() as opened:
        opened.execute(text("UPDATE studies SET plan = :plan"), {"plan": json.dumps(hidden)})
    store.close()
    bn.resume(tmp_path / "study").close()
    assert not (tmp_path / "ran").exists()
