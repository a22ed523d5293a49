"""What dies with the process that started it, and what is lost without ending anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from betanas.cli.report import _write
from betanas.data.files import FoundImage, ImageFiles
from betanas.search.store.lock import StudyLock, is_locked

DECODER = """
import os, sys, time
from betanas.lifetimes import die_with_parent
parent = os.getpid()
if os.fork() == 0:
    die_with_parent(parent)
    print(os.getpid(), flush=True)
    time.sleep(600)
time.sleep(600)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's parent-death signal is Linux's")
def test_a_child_dies_with_its_killed_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", DECODER], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child.wait(timeout=60)


def files_of(folder: Path, name: str) -> ImageFiles:
    return ImageFiles.of(folder, [FoundImage(name, 0, 0)], [0])


def test_a_pipe_that_is_called_an_image_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(OSError, match="not a regular file"):
        files_of(tmp_path, "x.png").read(0)


def test_a_device_that_is_called_an_image_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a regular file"):
        files_of(tmp_path, "x.png").read(0)


def test_a_file_that_is_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    os.truncate(tmp_path / "x.png", 1 << 40)
    assert len(files_of(tmp_path, "x.png").read(0, limit=10)) == 10
    (tmp_path / "y.png").write_bytes(b"image")
    assert files_of(tmp_path, "y.png").read(0) == b"image"


def test_looking_at_a_study_at_rest_never_finds_it_running(tmp_path: Path) -> None:
    """Before, two who looked at once took each other for a search."""
    with StudyLock(tmp_path):
        assert is_locked(tmp_path)
    found: list[bool] = []
    ends = time.monotonic() + 0.5

    def look() -> None:
        while time.monotonic() < ends:
            found.append(is_locked(tmp_path))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found
    assert not any(found)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_search_that_cannot_print_goes_on(stream: str) -> None:
    code = f"""
from betanas.cli.output import lasting_console
out = lasting_console(stderr={stream == "stderr"})
for _ in range(10_000):
    out.print("a line of a log on a full disk")
"""
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: full}
        done = subprocess.run([sys.executable, "-c", code], check=False, **streams)  # type: ignore[call-overload]
    assert done.returncode == 0


def test_a_reader_that_goes_away_does_not_end_a_search() -> None:
    code = """
from betanas.cli.output import lasting_console
out = lasting_console()
for _ in range(10_000):
    out.print("a line that nobody reads any more")
"""
    search = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert search.stdout is not None
    search.stdout.close()
    assert search.wait(timeout=120) == 0


def test_a_report_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    from betanas.analysis.errors import AnalysisError

    target = tmp_path / "report.html"
    target.write_text("the good report")
    limit = f"ulimit -f 8; exec {sys.executable} -c"
    code = (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from pathlib import Path\nfrom betanas.cli.report import _write\n"
        f"_write(Path({str(target)!r}), bytes(1 << 20))"
    )
    done = subprocess.run(["bash", "-c", f'{limit} "$0"', code], capture_output=True, text=True, check=False)
    assert "must be writable" in done.stderr
    assert target.read_text() == "the good report"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(AnalysisError):
        _write(tmp_path / "report.html" / "inside", b"")
