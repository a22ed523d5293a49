"""Two hundred kills at random moments: of the search, of a worker, of a process of a trial that several train.

    python benchmarks/soak_kills.py [--searches 50] [--workers 120] [--ranks 30] [--minutes 20] [--seed 0] [--quick]

Real trials on digits at 16 pixels, of about a second, in real `betanas search` and `betanas resume` processes; a
victim gets SIGKILL, and a search that was killed is resumed. Three studies, two of them at a time, share the kills:

- `sobol`: two workers, a budget of one second; half of the searches and half of the workers;
- `gpei`: one worker with one thread, a budget in steps, so that every result is decided by vector and seed; the rest;
- `ranks`: trials that two processes train together (`--rank-options`); the kills of ranks. 0 leaves it out.

Workers are killed more often than searches, since a search takes longest to start again. Victims and moments are drawn
from the seed. A fifth of the kills (never a rank's) comes within the seconds in which the last victim's successor
starts; the others fall up to one and a half trials after a trial has completed, so at any place of a trial or between
two. At least one trial completes between two of those: a trial whose worker is lost twice in the same way is recorded
as failed and not tried again, as it should be, and a study of such trials ends.

After every kill: each trial that was ever seen as completed is there, with the same values and the same curve; after a
search's death nothing it had started is left (known by a mark in the environment, which all of it inherits). At the
end: Ctrl-C, a last resumption to the planned end; indices without gaps; one successful attempt a trial; no network
trained twice; every suggestion as one strategy gives it that is told the same trials without an interruption; and for
`gpei` the first trials equal, vectors and accuracies, to those of another search that nothing happened to.

Ends with exit code 1 where something was lost. At most `--minutes` of killing; what is left then is not made up for.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _killing import Campaign, Settings, Victim, audit, compare, search_arguments
from _record import spread, write_record

STEPS = "20steps"


def lane(campaign: Campaign, victims: Sequence[Victim], until: float) -> str:
    """Run one study; what went wrong, or nothing."""
    try:
        campaign.run(victims, until=until)
    except AssertionError as broken:
        return str(broken)
    return ""


def shuffled(counts: dict[Victim, int], seed: int) -> list[Victim]:
    """A number of each, in a random order."""
    victims: list[Victim] = [victim for victim, count in counts.items() for _ in range(count)]
    random.Random(seed).shuffle(victims)
    return victims


def undisturbed(settings: Settings, trials: int) -> Path:
    """A search like a campaign's, to its end; its study."""
    place = settings.folder / "undisturbed"
    arguments = search_arguments(settings, place, trials=trials)
    command = [sys.executable, "-m", "betanas", *arguments, "--workers", str(settings.workers)]
    if settings.core is not None:
        command = ["taskset", "--cpu-list", str(settings.core), *command]
    subprocess.run(command, check=True, capture_output=True)
    return place


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--workers", type=int, default=120)
    parser.add_argument("--ranks", type=int, default=30)
    parser.add_argument("--rank-options", default="--devices cpu --per-trial-devices 2")
    parser.add_argument("--reference", type=int, default=40, help="trials of the search that nothing happens to")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="keep the studies here instead of in a temporary folder")
    parser.add_argument("--quick", action="store_true", help="twelve kills, a record under another name")
    parser.add_argument("--machine", default="nothing else ran", help="what else the machine did, for the record")
    given = parser.parse_args()
    if given.quick:
        given.searches, given.workers, given.ranks, given.reference = 4, 6, min(given.ranks, 2), 6
    with tempfile.TemporaryDirectory(prefix="betanas-soak-") as temporary:
        folder = given.keep or Path(temporary)
        figures = kill_all(given, folder)
    write_record(
        "soak_kills_quick" if given.quick else "soak_kills",
        conditions={
            "kills asked for": {"search": given.searches, "worker": given.workers, "rank": given.ranks},
            "studies": {
                "sobol": "2 workers, 1 s a trial",
                "gpei": f"1 worker, 1 thread, {STEPS} a trial",
                "ranks": f"1 s a trial, {given.rank_options}",
            },
            "data": "digits at 16 pixels, betanet3 up to 500K parameters",
            "share of early kills": 0.2,
            "minutes allowed": given.minutes,
            "seed": given.seed,
            "machine": given.machine,
        },
        figures=figures,
    )
    sys.exit(0 if all(figures["bars"].values()) else 1)


def kill_all(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the campaigns, and add up what they saw."""
    began = time.monotonic()
    until = began + 60 * given.minutes
    exact = Settings(folder / "gpei", "gpei", STEPS, 1, core=max(os.sched_getaffinity(0)), seed=given.seed)
    campaigns = {
        "sobol": Campaign(Settings(folder / "sobol", "sobol", "1s", 2, seed=given.seed)),
        "gpei": Campaign(exact),
        "ranks": Campaign(
            Settings(folder / "ranks", "sobol", "1s", None, tuple(given.rank_options.split()), seed=given.seed)
        ),
    }
    searches, workers = given.searches // 2, given.workers // 2
    victims = {
        "sobol": shuffled({"search": searches, "worker": workers}, given.seed),
        "gpei": shuffled({"search": given.searches - searches, "worker": given.workers - workers}, given.seed + 1),
        "ranks": shuffled({"rank": given.ranks}, given.seed),
    }
    names = [name for name in campaigns if victims[name]]
    with ThreadPoolExecutor(2) as pool:
        broken = dict(zip(names, pool.map(lambda n: lane(campaigns[n], victims[n], until), names), strict=True))
    killing = time.monotonic() - began
    findings = {name: campaigns[name].findings for name in names}
    books = {name: audit(campaigns[name].settings.study) for name in names}
    same, differing = 0, list[int]()
    if "gpei" in names and given.reference:
        same, differing = compare(exact.study, undisturbed(exact, given.reference))
    kills: Counter[str] = sum((one.kills for one in findings.values()), Counter[str]())
    asked = given.searches + given.workers + given.ranks
    orphans = [seconds for one in findings.values() for seconds in one.orphan_seconds]
    recoveries = [seconds for one in findings.values() for seconds in one.recovery_seconds]
    return {
        "minutes of killing": killing / 60,
        "kills": dict(kills),
        "kills while a trial was training": dict(
            sum((one.in_a_trial for one in findings.values()), Counter[str]()),
        ),
        "broken promises": {name: words for name, words in broken.items() if words},
        "searches that ended by themselves": {name: one.endings for name, one in findings.items() if one.endings},
        "seconds until the last process of a dead search was gone": spread(orphans) if orphans else None,
        "seconds from a kill to the next completed trial": spread(recoveries) if recoveries else None,
        "studies": {name: asdict(book) for name, book in books.items()},
        "gpei beside a search that nothing happened to": {"trials compared": same, "differing": differing},
        "bars": {
            "as many kills as asked for": sum(kills.values()) == asked,
            "no completed trial lost or changed, no orphan": not any(broken.values()),
            "no search ended by itself": not any(one.endings for one in findings.values()),
            "none counted twice": not any(book.counted_twice for book in books.values()),
            "suggestions as without interruption": not any(book.differing for book in books.values())
            and all(book.compared for book in books.values())
            and not differing,
        },
    }


if __name__ == "__main__":
    main()
