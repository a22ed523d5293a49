"""Run by the tests in a process of its own, which they kill: a long training on digits.

Usage: python long_worker.py JOB.pickle FOLDER EVALUATION_AT_WHICH_IT_WAITS
"""

from __future__ import annotations

import itertools
import pickle
import sys
import time
from pathlib import Path

import torch

from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.job import Job, JobImages
from betanas.training.kept import TrainingFolder


def train(job: dict, folder: Path, waits_at: int = 0, **settings):
    engine = TrialEngine(job["splits"], resolution=8, recipe=job["recipe"], device="cpu")
    training = Job(
        **{
            "network": job["blueprint"].to_dict(),
            "images": JobImages("digits", "the digits in memory", 8, split_seed=3),
            "recipe": job["recipe"],
            "budget": Budget.parse("5epochs"),
            "seed": 3,
            "test": True,
            "keep": True,
            **settings,
        }
    )

    evaluations = itertools.count(1)

    def on_point(_) -> bool:
        time.sleep(600.0 if next(evaluations) == waits_at else 0.0)
        return True

    return engine.train(
        job["blueprint"].build,
        budget=training.budget,
        seed=training.seed,
        patience=training.patience,
        test=job["splits"].validation,
        folder=TrainingFolder(folder, training, processes=engine.processes),
        on_point=on_point,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]), int(sys.argv[3]))
