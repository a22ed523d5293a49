"""For every test: one core a process, a cache of decoded images of its own, a database server on request."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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


# Files of which a few tests take most of the time, dearest first: begun last, one of them would keep a single test
# process busy after the others have run out of tests.
DEAREST = (
    "search/test_executors_ray.py",
    "search/test_executors_contract.py",
    "search/test_executors_several_devices.py",
    "training/test_training_long_several.py",
    "training/test_training_distributed.py",
    "analysis/test_analysis_report_browser.py",
    "analysis/test_dashboard_browser.py",
    "search/test_strategies_contract.py",
    "experiments/test_experiments_runs.py",
    "search/test_comparison.py",
    "cli/test_interruptions.py",
    "search/test_shared_store.py",
    "docs/test_documented_commands.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    places = {root / file: place for place, file in enumerate(DEAREST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


_frozen_modules = 0


@pytest.fixture(autouse=True)
def _libraries_are_no_garbage() -> None:
    """What earlier tests have imported stays: a trial that ends looks for garbage, in a million objects else."""
    global _frozen_modules
    if len(sys.modules) > _frozen_modules + 50:
        _frozen_modules = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, so that it can be filled and made read-only for real."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


def server_program(name: str) -> str | None:
    found = shutil.which(name) or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))), None)
    return str(found) if found else None


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL of the tests' own, without a study's name."""
    initdb, pg_ctl = server_program("initdb"), server_program("pg_ctl")
    if not initdb or not pg_ctl:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    # Not in pytest's folder: that is closed to other users, and the server refuses to run as root.
    place = Path(tempfile.mkdtemp(prefix="betanas-postgresql-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(place, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = place / "data"
    subprocess.run(
        [*as_user, initdb, "-D", str(data), "-U", "tester", "-A", "trust", "-N"], check=True, capture_output=True
    )
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {place}"
    subprocess.run(
        [*as_user, pg_ctl, "-D", str(data), "-o", options, "-l", str(place / "log"), "-w", "start"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    subprocess.run([*as_user, pg_ctl, "-D", str(data), "-m", "immediate", "stop"], check=True, capture_output=True)
    shutil.rmtree(place)
