"""A search under fire: real `betanas search` and `betanas resume` processes, killed at random moments.

`Campaign` runs a study, kills what it is told to kill, and sees to it after every kill that nothing which had completed
is gone or changed, and that nothing the search had started outlives it. `soak_kills.py` makes the record with it,
`tests/search/test_soak.py` the shorter version.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from betanas.search.planning import strategy_of
from betanas.search.propose.base import Observation
from betanas.search.records import TrialRecord
from betanas.search.study import Study

Victim = Literal["search", "worker", "rank"]

# More trials than any campaign lasts for: the search is ended by the campaign.
_ENDLESS = 100_000

# The share of kills aimed at what has just been started instead of at a search in full operation.
_EARLY_SHARE = 0.2

# Kills of a worker that is starting, at most this number in a row: the search gives up on one that never comes up.
_EARLY_IN_A_ROW = 2

_MARK = "BETANAS_SOAK"
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 180.0
_ORPHAN_SECONDS = 5.0


class CampaignError(AssertionError):
    """The search broke a promise."""


@dataclass(frozen=True)
class Settings:
    """What a campaign runs.

    Attributes:
        folder: of the study and of what its processes print.
        strategy: of the search.
        budget: of a trial.
        workers: trials at the same time; with one alone, each suggestion follows from the trials before it.
        options: further options of `betanas search`.
        core: the processor core that everything is kept to; None for all.
        seed: of the study, and of the moments and victims.
        trial_seconds: about what a trial takes, which decides how the moments are spread.
        start_seconds: about what a search takes to start.
    """

    folder: Path
    strategy: str
    budget: str
    workers: int | None
    options: tuple[str, ...] = ()
    core: int | None = None
    seed: int = 0
    trial_seconds: float = 1.5
    start_seconds: float = 8.0

    @property
    def study(self) -> Path:
        """The study's directory."""
        return self.folder / "study"


@dataclass
class Findings:
    """What a campaign saw.

    Attributes:
        kills: by victim.
        in_a_trial: how many of them fell while a trial was being trained.
        orphan_seconds: after each kill of a search, until its last process was gone.
        recovery_seconds: after each kill that had to wait for it, until the next trial had completed.
        endings: exit codes of searches that ended by themselves in the middle of the campaign, with what they said.
    """

    kills: Counter[str] = field(default_factory=Counter)
    in_a_trial: Counter[str] = field(default_factory=Counter)
    orphan_seconds: list[float] = field(default_factory=list)
    recovery_seconds: list[float] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)


class Campaign:
    """One study, and what is done to the processes that search it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.findings = Findings()
        self._random = random.Random(f"{settings.seed}/{settings.strategy}/{settings.folder.name}")
        self._mark = uuid.uuid4().hex
        self._search: subprocess.Popen[bytes] | None = None
        self._seen: dict[int, TrialRecord] = {}
        self._killed_at: float | None = None
        self._early = 0
        settings.folder.mkdir(parents=True, exist_ok=True)

    def run(self, victims: Sequence[Victim], *, until: float = float("inf")) -> None:
        """Search, and kill one victim after another.

        Args:
            victims: whom, in this order.
            until: no kill is made after this moment of the monotonic clock.

        Raises:
            CampaignError: a completed trial was lost or changed, a process outlived its search, or the search did not
                go on.
        """
        cores = os.sched_getaffinity(0)
        if self.settings.core is not None:
            os.sched_setaffinity(0, {self.settings.core})  # of this thread; what it starts inherits it
        try:
            self._start()
            for victim in victims:
                if time.monotonic() > until:
                    break
                self._kill(victim)
            self._wait_for(lambda: self._completed() > len(self._seen), "a trial completes after the last kill")
            self._finish()
        finally:
            os.sched_setaffinity(0, cores)
            for process in self._marked():
                with contextlib.suppress(psutil.Error):
                    process.kill()

    # Processes -------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        settings = self.settings
        if (settings.study / "study.sqlite").exists():
            self._launch("resume", str(settings.study))
            return
        workers = ("--workers", str(settings.workers)) if settings.workers is not None else ()
        self._launch(*search_arguments(settings, settings.study, trials=_ENDLESS), *workers)

    def _launch(self, *arguments: str) -> None:
        environment = {**os.environ, _MARK: self._mark, "OMP_NUM_THREADS": "1"}
        with (self.settings.folder / "output.txt").open("ab") as output:
            self._search = subprocess.Popen(
                [sys.executable, "-m", "betanas", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def _running(self) -> subprocess.Popen[bytes]:
        """The search; started again where it has ended by itself, which is noted."""
        if self._search is None or self._search.poll() is not None:
            code = self._search.returncode if self._search is not None else None
            said = (self.settings.folder / "output.txt").read_text(encoding="utf-8", errors="replace")[-400:]
            self.findings.endings.append(f"exit code {code}: {said}")
            if len(self.findings.endings) > 3:
                raise CampaignError(f"the search ends by itself again and again: {self.findings.endings}")
            self._start()
        if self._search is None:
            raise CampaignError("no search was started")
        return self._search

    def _marked(self) -> list[psutil.Process]:
        """Every living process that any of this campaign's searches has started, itself included."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def _candidates(self, victim: Victim) -> list[psutil.Process]:
        search = self._running()
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(search.pid)
            if victim == "search":
                return [process]
            return [
                child
                for child in process.children()
                if "betanas.search.executors.worker" in (words := child.cmdline())
                and (victim == "worker" or "--rank" in words)
            ]
        return []

    # Killing ---------------------------------------------------------------------------------------------------------

    def _kill(self, victim: Victim) -> None:
        settings, chance = self.settings, self._random
        early = victim != "rank" and chance.random() < _EARLY_SHARE and self._early < _EARLY_IN_A_ROW
        self._early = self._early + 1 if early else 0
        if early:
            time.sleep(chance.uniform(0.0, settings.start_seconds))
        else:
            self._wait_for(lambda: self._completed() > len(self._seen), f"a trial completes before the next {victim}")
            if self._killed_at is not None:
                self.findings.recovery_seconds.append(time.monotonic() - self._killed_at)
            time.sleep(chance.uniform(0.0, 1.5 * settings.trial_seconds))
        self._wait_for(lambda: bool(self._candidates(victim)), f"there is a {victim} to kill")
        choice = chance.random()
        candidates = self._candidates(victim)
        while not candidates:  # it ended between two looks
            time.sleep(_POLL_SECONDS)
            candidates = self._candidates(victim)
        target = candidates[int(choice * len(candidates))]
        self.findings.in_a_trial[victim] += bool(self._count("running"))
        with contextlib.suppress(psutil.NoSuchProcess):
            target.send_signal(signal.SIGKILL)
            self.findings.kills[victim] += 1
        self._killed_at = time.monotonic()
        if victim == "search":
            self._reap()
        self._look()
        if victim == "search":
            self._start()

    def _reap(self) -> None:
        """The search is dead: so is everything it had started, within a few seconds."""
        if self._search is None:
            return
        self._search.wait()
        died = time.monotonic()
        while left := self._marked():
            if time.monotonic() - died > _ORPHAN_SECONDS:
                raise CampaignError(f"orphans: {[process.as_dict(['pid', 'cmdline']) for process in left]}")
            time.sleep(_POLL_SECONDS)
        self.findings.orphan_seconds.append(time.monotonic() - died)
        self._search = None

    def _finish(self) -> None:
        """End by Ctrl-C, go on for two more trials, and end in order."""
        study, search = self.settings.study, self._running()
        search.send_signal(signal.SIGINT)
        if search.wait() != 130:
            raise CampaignError(f"an interrupted search ended with exit code {search.returncode}")
        self._reap()
        self._look()
        with Study.open(study) as opened:
            planned = sum(record.state != "infeasible" for record in opened.trials()) + 2
        self._launch("resume", str(study), "--trials", str(planned))
        if self._search is None or self._search.wait() != 0:
            raise CampaignError("the last resumption failed; see output.txt")
        self._reap()
        self._look()

    # Looking ---------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Nothing that was ever seen as completed may be gone or changed."""
        if not (self.settings.study / "study.sqlite").exists():
            return
        with Study.open(self.settings.study) as study:
            completed = {record.index: record for record in study.trials(curves=True) if record.state == "completed"}
        for index, record in self._seen.items():
            if index not in completed:
                raise CampaignError(f"trial {index}, which had completed, was lost")
            if completed[index] != record:
                raise CampaignError(f"trial {index}, which had completed, was changed: {record}, {completed[index]}")
        self._seen = completed

    def _completed(self) -> int:
        return self._count("completed")

    def _count(self, state: str) -> int:
        """Trials in a state; a light look, since it is taken twenty times a second."""
        database = self.settings.study / "study.sqlite"
        if not database.exists():
            return 0
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection,
        ):
            return int(connection.execute("SELECT count(*) FROM trials WHERE state = ?", (state,)).fetchone()[0])
        return 0

    def _wait_for(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not holds():
            self._running()
            if time.monotonic() > deadline:
                raise CampaignError(f"waited {_PATIENCE_SECONDS:g} seconds in vain until {what}")
            time.sleep(_POLL_SECONDS)


def search_arguments(settings: Settings, study: Path, *, trials: int) -> tuple[str, ...]:
    """What `betanas` is given to start the campaign's search, or one like it."""
    return (
        *("search", "--data", "digits", "--space", "betanet3", "--study", str(study), "--resolution", "16"),
        *("--max-params", "500K", "--budget", settings.budget, "--strategy", settings.strategy),
        *("--seed", str(settings.seed), "--trials", str(trials), *settings.options),
    )


@dataclass(frozen=True)
class Books:
    """What a study's records say when it is over.

    Attributes:
        trials: by state.
        sessions: searches that worked on it.
        attempts: started trainings.
        counted_twice: trials with more than one successful attempt, curves with a point twice, networks trained twice.
        compared: suggestions that were compared with those of a search that nothing had happened to.
        differing: indices of those that are not the same.
    """

    trials: dict[str, int]
    sessions: int
    attempts: int
    counted_twice: list[str]
    compared: int
    differing: list[int]


def audit(place: Path) -> Books:
    """Check a finished study's records, and every suggestion that can be checked.

    A search that nothing happens to is one strategy, told every trial and asked for the next. So one strategy is told
    this study's trials in their order, and has to suggest each of them. Where several trials ran at the same time, what
    was known at a suggestion depends on who ended first, so that only a strategy that learns nothing is compared.
    """
    with Study.open(place) as study:
        records, plan = study.trials(curves=True), study.plan
        attempts = {record.index: study.attempts(record.index) for record in records}
        sessions = len(study.sessions())
    twice = []
    if [record.index for record in records] != list(range(len(records))):
        twice.append("the indices are not 0, 1, 2, ...")
    trained = Counter(r.blueprint_key for r in records if r.state == "completed" and r.repeat_of is None)
    twice += [f"network {key} was trained {count} times" for key, count in trained.items() if count > 1]
    for record in records:
        good = [one for one in attempts[record.index] if one["ended"] is not None and not one["cause"]]
        if record.state == "completed" and record.repeat_of is None and len(good) != 1:
            twice.append(f"trial {record.index} completed {len(good)} times")
        steps = [point.step for point in record.curve]
        if steps != sorted(set(steps)):
            twice.append(f"trial {record.index} has points twice")
    learning = plan.search.strategy not in ("sobol", "random")
    if learning and plan.machine.workers != 1:
        compared, differing = 0, []
    else:
        # On one thread, as in the campaign's searches: sums in another order end in other digits.
        strategy, differing = strategy_of(plan, ()), []
        for record in records:
            (suggestion,) = strategy.ask()
            if dict(suggestion.vector) != dict(record.vector):
                differing.append(record.index)
            strategy.tell(Observation.of(record))
        compared = len(records)
    return Books(
        trials=dict(Counter(record.state for record in records)),
        sessions=sessions,
        attempts=sum(map(len, attempts.values())),
        counted_twice=twice,
        compared=compared,
        differing=differing,
    )


def compare(place: Path, reference: Path) -> tuple[int, list[int]]:
    """Vectors and accuracies beside those of a search that ran to its end undisturbed, bit for bit.

    Returns:
        Trials compared (up to the first that failed, whose result the other search does not have), and the indices of
        those that differ.
    """
    with Study.open(place) as study, Study.open(reference) as other:
        pairs = list(zip(study.trials(), other.trials(), strict=False))
    sound = next((at for at, pair in enumerate(pairs) if pair[0].state != "completed"), len(pairs))
    differing = [
        one.index for one, two in pairs[:sound] if (dict(one.vector), one.top1) != (dict(two.vector), two.top1)
    ]
    return sound, differing
