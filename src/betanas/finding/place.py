"""The folder of a `find`: what is in it, what was asked for, and who may write in it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from betanas.data.places import keep_outside
from betanas.errors import StoreError, StudyError
from betanas.files import read_json, write_atomically
from betanas.finding.timetable import Timetable
from betanas.search.settings import SETTINGS

_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What was asked for and what was chosen, written before anything is trained.

    Attributes:
        asked: the data, the time and the settings that were typed, as JSON holds them.
        chosen: settings that were chosen, by the search's names.
        timetable: when each part ends.
        fingerprint: digest of the images.
    """

    asked: Mapping[str, Any]
    chosen: Mapping[str, Any]
    timetable: Timetable
    fingerprint: str

    def to_document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "format": _FORMAT,
            "asked": dict(self.asked),
            "chosen": dict(self.chosen),
            "timetable": self.timetable.to_document(),
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is damaged, or of another version.
        """
        if document["format"] != _FORMAT:
            raise ValueError(f"format {document['format']}")
        asked, chosen = dict(document["asked"]), dict(document["chosen"])
        return cls(asked, chosen, Timetable(**document["timetable"]), str(document["fingerprint"]))


class Place:
    """The folder that `--to` names.

    Attributes:
        folder: itself; the finished model lies in it.
        search: the study.
        training: the final training.
        work: what is needed until the end: the plan, the time that was used, the rehearsal.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        self.search = self.folder / "search"
        self.training = self.folder / "training"
        self.work = self.folder / ".find"
        self.used = self.work / "used.json"
        self._plan = self.work / "plan.json"
        self._result = self.folder / "find.json"

    def check(self, data: str) -> None:
        """Refuse a folder that is not ours to write in.

        Args:
            data: the images' name or folder.

        Raises:
            StudyError: it lies inside the images' folder, is no folder, or holds something else.
        """
        hint = f"Type, for example, --to {shlex.quote(f'{Path(data).expanduser().resolve().name}-model')}."
        keep_outside(self.folder, data, what="The model's folder", hint=hint)
        if self.folder.exists() and not self.folder.is_dir():
            raise StudyError("--to must be a folder.", value=str(self.folder), hint="Type, for example, --to model.")
        if self._plan.exists() or not self.folder.exists():
            return
        if any(each.name != self.work.name for each in self.folder.iterdir()):
            raise StudyError(
                "--to must be a new folder, or one that the same command has begun.",
                value=f"{self.folder} holds other files",
                hint="Choose another; nothing was changed.",
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep other processes off it; what was made for nothing is removed again.

        Raises:
            StudyError: another process works in it.
            StoreError: it cannot be made.
        """
        missing = [each for each in (self.folder, *self.folder.absolute().parents) if not each.exists()]
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.work / "lock")
            lock.acquire(timeout=0)
        except Timeout as error:
            raise StudyError(
                "One process at a time can work in a folder.",
                value=str(self.folder),
                hint="Wait for it, stop it with Ctrl-C, or choose another folder with --to.",
            ) from error
        except OSError as error:
            raise StoreError(
                f"The model's folder cannot be written: {error.strerror or error}.",
                value=str(self.folder),
                hint="Choose another with --to.",
            ) from error
        try:
            yield
        finally:
            if not self._plan.exists():
                shutil.rmtree(self.work, ignore_errors=True)
                for each in missing:
                    if each.is_dir() and not any(each.iterdir()):
                        each.rmdir()
            lock.release()

    def plan(self) -> Plan | None:
        """What was planned here; None where nothing was.

        Raises:
            StudyError: it is damaged.
        """
        if not self._plan.exists():
            return None
        try:
            return Plan.from_document(read_json(self._plan))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StudyError(
                "The plan in the folder must be whole, and of this version.",
                value=str(self._plan),
                hint=f"{type(error).__name__}: {error}. Choose another folder with --to.",
            ) from error

    def write_plan(self, plan: Plan) -> None:
        """Write the plan: from now on the folder is one that was begun."""
        _write(self._plan, plan.to_document())

    def forget_plan(self) -> None:
        """Take the plan back, where the search refused it."""
        self._plan.unlink(missing_ok=True)

    def result(self) -> dict[str, Any] | None:
        """The finished result; None before the end."""
        try:
            document: dict[str, Any] = read_json(self._result)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StudyError(
                "The result in the folder must be whole.", value=str(self._result), hint=f"{error}."
            ) from error
        return document

    def write_result(self, document: Mapping[str, Any]) -> None:
        """Write the result, which is the last thing that is written."""
        _write(self._result, document)


def refuse_other(asked: Mapping[str, Any], plan: Plan, place: Place) -> None:
    """Refuse to go on with something else than what was begun.

    Raises:
        StudyError: the data, the time or a setting differs; the message says what to type.
    """
    different = [name for name in {**plan.asked, **asked} if plan.asked.get(name) != asked.get(name)]
    if different:
        shown = ", ".join(f"{name} {asked.get(name, 'not given')}" for name in different)
        raise StudyError(
            f"The folder {place.folder} belongs to a find with another {' and '.join(different)}.",
            value=shown,
            hint=f"Go on with it by typing {command(plan.asked, place)}, or choose another folder with --to.",
        )


def command(asked: Mapping[str, Any], place: Place) -> str:
    """The command that asks for this, ready to paste into a shell."""
    words = ["betanas", "find", str(asked["data"]), "--time", str(asked["time"]), "--to", str(place.folder)]
    for name, value in asked.items():
        if name in ("data", "time"):
            continue
        flag = SETTINGS[name].flag if name in SETTINGS else f"--{name}"
        words += _typed(flag, value)
    return shlex.join(words)


def _typed(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag.removeprefix('--')}"]
    if isinstance(value, Mapping):
        pairs = ((name, ":".join(map(str, each)) if isinstance(each, list) else each) for name, each in value.items())
        return [word for name, each in pairs for word in (flag, f"{name}={each}")]
    return [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]


def _write(path: Path, document: Mapping[str, Any]) -> None:
    try:
        write_atomically(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise StoreError(
            f"The model's folder cannot be written: {error.strerror or error}.", value=str(path.parent)
        ) from error
