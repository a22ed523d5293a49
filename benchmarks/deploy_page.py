"""Walks docs/deploy.md from its first command to its last, and records what a person who follows it gets.

    python benchmarks/deploy_page.py --images CIFAR100_FOLDER --work FOLDER [--time 1h] [--classes 10] [--photos 400]
                                     [--table device.json] [--beside WHAT]

The commands are the page's own, read from its `bash` blocks and typed in that order into the empty folder `--work`; its
program for a computer is run too. Only the time of `find` is another where `--time` says so. `photos` is made of the
first images of the first classes of CIFAR-100, enlarged to `--side` pixels; it has no test part, as a stranger's folder
has none. `--table` is a latency table of this machine from earlier, in place of the commands that make one. `--beside`
says what else the machine did. Interrupted, it goes on after the last command that ended. A format whose packages are
not installed is named and left out. The table in docs/deploy.md is written from the record.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from _page_tables import with_table
from _record import write_record
from _walk_table import table_of

PAGE = Path(__file__).parents[1] / "docs" / "deploy.md"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What a device's folder of networks is timed with there; here the device is this machine.
MEASURE = "python measure.py --threads 1"

FOUND = (
    "space",
    "resolution",
    "trials",
    "params",
    "macs",
    "validation_accuracy",
    "validation_images",
    "training_steps",
    "latency",
    "latency_measured",
    "verified",
    "seconds",
)


def commands(page: str) -> Iterator[list[str]]:
    """The words of every command of the page, in its order."""
    for language, body in _FENCE.findall(page):
        if language == "bash":
            yield from (shlex.split(line) for line in body.splitlines() if line.strip())


def program(page: str) -> str:
    """The page's Python program."""
    (body,) = (body for language, body in _FENCE.findall(page) if language == "text" and "onnxruntime" in body)
    return str(body)


def photographs(images: Path, work: Path, *, classes: int, count: int, side: int) -> None:
    """Make the folder `photos`, and beside it `picture.jpg`, of an image that is not among them."""
    for folder in sorted(path for path in (images / "train").iterdir() if path.is_dir())[:classes]:
        to = work / "photos" / folder.name
        to.mkdir(parents=True, exist_ok=True)
        *chosen, other = sorted(folder.iterdir())[: count + 1]
        for path in chosen:
            _enlarged(path, side).save(to / f"{path.stem}.jpg", quality=95)
        _enlarged(other, side).save(work / "picture.jpg", quality=95)


def _enlarged(path: Path, side: int) -> Image.Image:
    return Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


class Walk:
    """Types commands in a folder, once each: what they printed is kept beside it.

    Args:
        work: the folder.
    """

    def __init__(self, work: Path) -> None:
        self._work, self._printed = work, work / "printed"
        self._printed.mkdir(exist_ok=True)
        self._count = 0

    def type(self, words: list[str], *, folder: str = ".") -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        self._count += 1
        kept = self._printed / f"{self._count:02}.json"
        line = shlex.join(words)
        if kept.exists() and (before := json.loads(kept.read_text(encoding="utf-8")))["command"] == line:
            return 0, before["out"], ""
        print(f"$ {line}", flush=True)
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ran = subprocess.run(
            words,
            cwd=self._work / folder,
            env={**os.environ, "PATH": tools},
            executable=shutil.which(words[0], path=tools),
            capture_output=True,
            text=True,
            check=False,
        )
        print(ran.stdout + ran.stderr, flush=True)
        if not ran.returncode:
            kept.write_text(json.dumps({"command": line, "out": ran.stdout}), encoding="utf-8")
        return ran.returncode, ran.stdout, ran.stderr


def exported(document: Mapping[str, Any]) -> dict[str, Any]:
    """What an export says of its files."""
    sizes: dict[str, int] = {}
    for name, size in document["files"].items():
        top = Path(name).parts[0]  # some formats are folders
        if top not in ("README.md", "network.json"):
            sizes[top] = sizes.get(top, 0) + size
    return {
        "bytes": sizes,
        "verification": document["verification"],
        "unchecked": document["unchecked"],
        "quantisation": document["quantisation"],
    }


def walked(walk: Walk, work: Path, page: str, *, time: str | None, table: Path | None) -> dict[str, Any]:
    """Type everything; what was found, by the step.

    Raises:
        SystemExit: a command failed, and not for want of a package.
    """
    figures: dict[str, Any] = {"exports": {}, "left_out": {}, "refused": None}
    for words in commands(page):
        verb = words[1]
        if verb == "profile" and table is not None:
            shutil.copyfile(table, work / "device.json")
            continue
        if verb == "find" and time is not None:
            words[words.index("--time") + 1] = time
        code, out, error = walk.type([*words, "--json"] if verb in ("find", "export", "predict") else words)
        if verb == "export" and code and "--max-loss" in error:
            figures["refused"] = " ".join(error.split())
            words += ["--max-loss", "2"]
            code, out, error = walk.type([*words, "--json"])
        if verb == "export" and code and "pip install" in error:
            figures["left_out"][words[-1]] = " ".join(error.split())
            continue
        if code:
            raise SystemExit(f"{shlex.join(words)}: exit code {code}")
        if verb == "find":
            found = json.loads(out)
            figures["found"] = {name: found[name] for name in FOUND}
        elif verb == "export":
            figures["exports"][words[words.index("--to") + 1]] = exported(json.loads(out))
        elif verb == "predict":
            first = json.loads(out)["images"][0]["top"][0]
            figures["predict"] = {"class": first["class"], "probability": first["probability"]}
        elif "--for-device" in words:
            there = words[words.index("--for-device") + 1]
            if walk.type(shlex.split(MEASURE), folder=there)[0]:
                raise SystemExit(f"{MEASURE}: it failed")
            shutil.copyfile(work / there / "measurements.json", work / "measurements.json")
    code, out, _ = walk.type([sys.executable, "-c", program(page)])
    if code:
        raise SystemExit("the page's program failed")
    name, probability = out.rsplit(maxsplit=1)
    figures["program"] = {"class": name, "probability": float(probability)}
    return figures


def main() -> None:
    """Walk the page, write the record and the page's table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder, or one to go on in")
    parser.add_argument("--time", help="of find, in place of the page's")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--photos", type=int, default=400, help="of each class")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--table", type=Path, help="a latency table of this machine, made before")
    parser.add_argument("--beside", default="nothing", help="what else the machine did")
    given = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    if not (given.work / "photos").exists():
        given.work.mkdir(parents=True, exist_ok=True)
        photographs(given.images, given.work, classes=given.classes, count=given.photos, side=given.side)
    table = given.table and given.table.absolute()
    figures = walked(Walk(given.work), given.work, page, time=given.time, table=table)
    device = json.loads((given.work / "device.json").read_text(encoding="utf-8"))
    record = write_record(
        "deploy_page",
        conditions={
            "data": "CIFAR-100",
            "classes": given.classes,
            "photos_a_class": given.photos,
            "side": given.side,
            "time": given.time or "the page's",
            "limit": next(words[words.index("--max-latency") + 1] for words in commands(page) if words[1] == "find"),
            "latency_table": {name: device[name] for name in ("runtime", "threads", "batch_size", "measured", "error")},
            "latency_table_made": "in the walk" if given.table is None else "before it",
            "beside_it_the_machine_did": given.beside,
        },
        figures=figures,
    )
    table_text = table_of(json.loads(record.read_text(encoding="utf-8")))
    PAGE.write_text(with_table(page, "deploy_page", table_text), encoding="utf-8")


if __name__ == "__main__":
    main()
