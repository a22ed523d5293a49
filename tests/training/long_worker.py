"""Run by the tests in a process of its own, which they kill: a long training on digits.

Usage: python long_worker.py JOB.pickle FOLDER SECONDS_AFTER_EACH_EVALUATION
"""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path

import torch

from betanas.training.engine import TrialEngine
from betanas.training.long import LongPlan, LongTraining


def train(job: dict, folder: Path, pause: float = 0.0, **settings):
    engine = TrialEngine(job["splits"], resolution=8, recipe=job["recipe"], device="cpu")
    plan = LongPlan(
        **{
            "architecture": job["blueprint"].to_dict(),
            "data": {"name": "digits"},
            "resolution": 8,
            "recipe": job["recipe"].to_dict(),
            "budget": "5epochs",
            "seed": 3,
            **settings,
        }
    )
    training = LongTraining(folder, plan, engine=engine, build=job["blueprint"].build)
    return training.run(test=job["splits"].validation, on_point=lambda _: time.sleep(pause))


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]), float(sys.argv[3]))
