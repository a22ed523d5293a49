"""`betanas dashboard` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("dash")

CODE = """
import sys, typer
from betanas.cli.dashboard import dashboard
from betanas.errors import BetanasError
app = typer.Typer()
app.command()(dashboard)
try:
    app(sys.argv[1:], standalone_mode=False)
except BetanasError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def test_it_serves_until_it_is_interrupted_without_torch(stored_study: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", CODE, str(stored_study), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+/", line)
    assert address, line + process.stderr.read()  # type: ignore[union-attr]
    try:
        with urllib.request.urlopen(address[0]) as answer:
            assert "BetaNAS" in answer.read().decode()
        if sys.platform == "linux":
            assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
    finally:
        os.kill(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=600)
    assert process.returncode == 0, complaints
    assert "Traceback" not in complaints


def test_an_open_address_without_a_token_is_refused(stored_study: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CODE, str(stored_study), "--host", "0.0.0.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert "must have a token" in answer.stderr
