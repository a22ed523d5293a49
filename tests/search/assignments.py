"""Assignments on digits for tests of executors: real networks, some of which misbehave."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from misbehaviour import LATENT

import betanas as bn
from betanas.blueprint import Blueprint
from betanas.search.executors.base import Assignment
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages


@cache
def digits() -> JobImages:
    return JobImages("digits", bn.open_source("digits").fingerprint, 16, validation_share=0.2)


def digits_job() -> Job:
    """What a worker is set up with, where nothing of it is to be trained."""
    return Job({}, digits(), bn.load_recipe("fast").with_settings(batch_size=64), Budget(2, "steps"))


def assignment(
    blueprint: Blueprint,
    index: int = 0,
    *,
    kind: str | None = None,
    budget: str = "2steps",
    attempt: int = 1,
    processes: int = 1,
) -> Assignment:
    network = replace(blueprint, latent=LATENT[kind]) if kind else blueprint
    recipe = bn.load_recipe("fast").with_settings(batch_size=64)
    job = Job(network.to_dict(), digits(), recipe, Budget.parse(budget), seed=index, processes=processes)
    return Assignment(index, attempt, job)
