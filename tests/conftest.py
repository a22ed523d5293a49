"""Applies to every test: one core for each test process, and a cache of decoded images of its own."""

from __future__ import annotations

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Two test processes of two threads each on two cores wait for each other more than they compute. The workers that
    # tests start inherit the core.
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["BETANAS_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
