"""Comparisons of before they were studies: a folder with a line of JSON for each training in `results.jsonl`.

They are read into the study that takes the folder over, once. A line says neither its budget nor its recipe, but its
key is a digest of both; so the trainings that are asked for now are recognised, and only others stay without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from betanas.search.propose.listed import Listed, waiting_trial
from betanas.search.records import TrialRecord
from betanas.search.store.store import Store
from betanas.training.job import Job
from betanas.training.result import TrialResult

_JOURNAL = "results.jsonl"
_READ = "results.jsonl.read"

# Settings of recipes that came after the journals, whose keys are digests without them.
_LATER = ("variants", "evaluation_share")


def read_journal_into(store: Store, folder: Path, wanted: Sequence[Listed]) -> None:
    """Make trials of an older comparison's trainings, where a folder holds one.

    Args:
        store: of the comparison.
        folder: of the older one.
        wanted: what is asked for now, by which older trainings are recognised.
    """
    if not (folder / _JOURNAL).exists():
        return
    known = {key: each for each in wanted for key in _older_keys(each.job)}
    records = store.trials()
    origins = {record.origin for record in records}
    index = max((record.index for record in records), default=-1)
    for entry in _entries(folder / _JOURNAL):
        origin = f"journal {entry['key']}"
        if origin in origins:  # read before the last time was interrupted
            continue
        index += 1
        each = known.get(entry["key"])
        record = _unknown(entry, index) if each is None else waiting_trial(each, index, "comparison")
        store.add_trial(
            replace(record, origin=origin, state="running", attempts=1, started=store.now()),
            {"network": entry["name"]} if each is None else each.job,
        )
        store.end_trial(index, 1, _result(entry), objective=None)
    (folder / _JOURNAL).replace(folder / _READ)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # torn by a crash


def _unknown(entry: Mapping[str, Any], index: int) -> TrialRecord:
    return TrialRecord(
        index=index,
        vector={},
        blueprint_key="",
        origin="",
        state="running",
        purpose="comparison",
        job_key=entry["key"],
        **{name: entry[name] for name in ("name", "params", "macs", "resolution", "seed")},
    )


def _result(entry: Mapping[str, Any]) -> TrialResult:
    if entry["result"] is None:
        return TrialResult(entry["outcome"], entry["cause"], entry["reason"])
    return TrialResult.from_dict({"outcome": "completed", **entry["result"]})


def _older_keys(job: Job) -> Iterator[str]:
    """The keys that a job had, whichever way its budget was typed."""
    budget = job.budget
    typed = {str(budget)}
    if budget.unit == "seconds":
        typed |= {f"{budget.amount / size:g}{unit}" for unit, size in (("s", 1), ("m", 60), ("h", 3600))}
    data = {"source": job.images.source, "fingerprint": job.images.fingerprint}
    for text in sorted(typed):
        for images in (data, {**data, "split_seed": job.images.split_seed}):
            document = {
                "architecture": job.network,
                "data": images,
                "resolution": job.images.resolution,
                "recipe": {name: value for name, value in job.recipe.to_dict().items() if name not in _LATER},
                "budget": text,
                "seed": job.seed,
                "patience": job.patience,
            }
            yield hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
