"""Records the real CIFAR-100 trials that the replay benchmarks learn from, by the project's own search.

    taskset -c 0 python benchmarks/record_replay.py --data FOLDER [--runs runs/replay] [--budget 20s] [--trials 150]
                                                    [--workers N] [--vectors 6] [--repeats 2] [--recording FILE]
                                                    [--only-gather] [--quick]

FOLDER holds train/<class>/*.png (and test/, which is not touched): trials are judged on the search's own validation
split. Two studies, one for each preset (`default` and `table1`), draw feasible candidates from a Sobol sequence; the
first vectors of each are then trained again with fresh training seeds, which measures the noise of one training. A
trial always has one core: there is a worker for each core that the process may use, or as many as --workers says.

It can be killed at any moment, `kill -9` included, and goes on where it stood when it is started again: studies are
resumed, repeats that are written down are not trained again. The work goes in rounds through both studies, and after
each round everything complete is gathered into benchmarks/data/replay_cifar100_r32.jsonl, so that an early end leaves a
balanced recording. --only-gather does that alone; --quick is a trial run on digits that leaves its recording in --runs.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from _replay import BATCH_SIZE, LIMITS, PRESETS, RECORDINGS, RESOLUTION, SPACE
from _searches import GRACE, cores, exists, keep_to_cores, search_to
from betanas.search.executors.base import Assignment, TrialEnded
from betanas.search.executors.registry import make_executor
from betanas.search.planning import executor_settings, job_of, worker_setup
from betanas.search.records import TrialRecord, result_fields
from betanas.search.settings import SearchSettings
from betanas.search.simulation.recording import Recording, read_recordings, write_recordings
from betanas.search.store.location import StudyLocation
from betanas.search.studies.search import trial_seed
from betanas.search.study import Study

# The trials added to a study before the other one has its turn.
ROUND = 50

# Beyond the indices of trials, whose seeds the repeats must not have.
FIRST_REPEAT = 2_000_000


@dataclass(frozen=True)
class Campaign:
    """What is recorded, where.

    Attributes:
        data: the images.
        runs: folder of the studies and of the repeats.
        recording: the file of all recorded trials.
        budget: training budget of a trial.
        trials: completed trials of each study.
        vectors: vectors of each study that are trained again.
        repeats: further trainings of each.
        workers: trials at the same time.
        resolution: side of the images.
        batch_size: images of a step.
    """

    data: str
    runs: Path
    recording: Path
    budget: str
    trials: int
    vectors: int
    repeats: int
    workers: int
    resolution: int = RESOLUTION
    batch_size: int = BATCH_SIZE

    def study(self, preset: str) -> Path:
        """The study of a preset."""
        return self.runs / preset

    def repeats_of(self, preset: str) -> Path:
        """The file of a preset's repeats."""
        return self.runs / f"{preset}-repeats.jsonl"


def main() -> None:
    """Record, in rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="CIFAR-100 as an image folder")
    parser.add_argument("--runs", type=Path, default=Path("runs/replay"))
    parser.add_argument("--recording", type=Path, default=RECORDINGS)
    parser.add_argument("--budget", default="20s")
    parser.add_argument("--trials", type=int, default=150, help="completed trials of each of the two studies")
    parser.add_argument("--workers", type=int, default=cores(), help="trials at the same time, each with one core")
    parser.add_argument("--vectors", type=int, default=6, help="vectors of each study that are trained again")
    parser.add_argument("--repeats", type=int, default=2, help="further trainings of each")
    parser.add_argument("--only-gather", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.quick:
        runs = given.runs / "quick"
        campaign = Campaign("digits", runs, runs / "recording.jsonl", "1s", 3, 2, 1, given.workers, 16, 64)
    elif given.data or given.only_gather:
        campaign = Campaign(
            given.data or "",
            given.runs,
            given.recording,
            given.budget,
            given.trials,
            given.vectors,
            given.repeats,
            given.workers,
        )
    else:
        parser.error("--data FOLDER is needed")
    keep_to_cores(given.workers)
    try:
        if not given.only_gather:
            record(campaign)
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on.", flush=True)
    gather(campaign)


def record(campaign: Campaign) -> None:
    """Bring both studies and the repeats to their ends."""
    for target in (*range(ROUND, campaign.trials, ROUND), campaign.trials):
        for preset in PRESETS:
            print(f"{preset}: to {target} trials", flush=True)
            search_to(settings(campaign, preset), target)
            repeat(campaign, preset)
            gather(campaign)


def settings(campaign: Campaign, preset: str) -> SearchSettings:
    """The search of a preset; both have one seed, and with it one validation split."""
    return SearchSettings(
        data=campaign.data,
        study=str(campaign.study(preset)),
        space=SPACE,
        preset=preset,
        resolution=campaign.resolution,
        budget=campaign.budget,
        trials=min(ROUND, campaign.trials),
        strategy="sobol",
        batch_size=campaign.batch_size,
        max_params=LIMITS.params,
        max_macs=LIMITS.macs,
        max_memory=2**31,  # stated, so that it does not depend on the machine; the other limits keep below it
        lookahead=LIMITS.lookahead,
        devices=("cpu",),
        workers=campaign.workers,
        grace=GRACE,
    )


def repeat(campaign: Campaign, preset: str) -> None:
    """Train the first vectors of a study again, on its own split and budget, each with the same fresh seeds."""
    place, file = campaign.study(preset), campaign.repeats_of(preset)
    with Study.open(place) as study:
        plan = study.plan
        firsts = [trial for trial in study.trials() if trial.state == "completed"][: campaign.vectors]
        blueprints = {trial.index: study.blueprint(trial.index) for trial in firsts}
    done = read_recordings(file) if file.exists() else []
    seeds = [trial_seed(plan.search.seed, FIRST_REPEAT + turn) for turn in range(campaign.repeats)]
    known = {(tuple(each.vector.values()), each.seed) for each in done}
    missing = [
        replace(trial, seed=seed, curve=())
        for seed in seeds
        for trial in firsts
        if (tuple(trial.vector.values()), seed) not in known
    ]
    if not missing:
        return
    plan = plan.changed(data=campaign.data, workers=campaign.workers)
    places = replace(executor_settings(plan, StudyLocation.parse(place)), log_folder=None)
    with make_executor(plan.machine.executor, worker_setup(plan), places) as executor:
        running: dict[int, TrialRecord] = {}
        while missing or running:
            while missing and executor.idle:
                trial, number = missing.pop(0), FIRST_REPEAT + len(missing)
                running[number] = trial
                job = job_of(plan, blueprints[trial.index].to_dict(), seed=trial.seed)
                executor.submit(Assignment(number, 1, job))
            for event in executor.poll(1.0):
                if isinstance(event, TrialEnded):
                    result = event.result
                    ended = replace(running.pop(event.index), **result_fields(result), curve=result.curve)
                    print(f"repeat of trial {ended.index}: {ended.state} {ended.top1}", flush=True)
                    done += [each for each in [Recording.of(ended)] if each is not None]
                    write_recordings(file, done)


def gather(campaign: Campaign) -> None:
    """Write everything complete into the recording."""
    found: list[Recording] = []
    for preset in PRESETS:
        if exists(campaign.study(preset)):
            with Study.open(campaign.study(preset)) as study:
                found += [each for each in map(Recording.of, study.trials(curves=True)) if each is not None]
        if campaign.repeats_of(preset).exists():
            found += read_recordings(campaign.repeats_of(preset))
    if not found:
        return
    campaign.recording.parent.mkdir(parents=True, exist_ok=True)
    write_recordings(campaign.recording, found)
    print(f"{len(found)} trials in {campaign.recording.name}", flush=True)


if __name__ == "__main__":
    main()
