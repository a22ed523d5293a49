"""Where a study lives: a directory of its own, or a PostgreSQL database that several machines share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from betanas.errors import StudyError

DATABASE_FILE = "study.sqlite"
LOG_FOLDER = "logs"
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")

# A password stands before the host, as SQLAlchemy reads URLs, or among what libpq takes as options.
_PASSWORDS = re.compile(r"(?<=://)(?P<user>[^:/@\s]*):[^@\s]*@|(?P<option>[?&](?:ssl)?password=)[^&\s'\"]*")


def hide_passwords(text: str) -> str:
    """A text, such as a command line, with the passwords of the URLs in it hidden."""
    return _PASSWORDS.sub(lambda found: f"{found['option']}***" if found["option"] else f"{found['user']}:***@", text)


@dataclass(frozen=True, slots=True)
class StudyLocation:
    """A study's place.

    Attributes:
        text: as typed; for a database, with the password hidden.
        url: the database.
        name: the study's name in it.
        directory: the study's directory; None where the store is PostgreSQL.
    """

    text: str
    url: URL
    name: str
    directory: Path | None

    @classmethod
    def parse(cls, location: str | Path) -> StudyLocation:
        """Read `runs/digits` or `postgresql://user@host/database?study=digits`.

        Raises:
            StudyError: the location is neither.
        """
        text = str(location)
        if "://" not in text:
            directory = Path(text).expanduser()
            if not text or (directory.exists() and not directory.is_dir()):
                raise StudyError("A study must be a directory.", value=text, hint="Type, for example, runs/first.")
            url = URL.create("sqlite", database=str(directory / DATABASE_FILE))
            return cls(text=text, url=url, name=directory.resolve().name, directory=directory)
        hint = "Type, for example, postgresql://user@host/database?study=first."
        try:
            parsed = make_url(text)
        except ArgumentError as error:
            raise StudyError(
                "A study must be a directory or a PostgreSQL URL.", value=hide_passwords(text), hint=hint
            ) from error
        name = parsed.query.get("study")
        if parsed.drivername not in _POSTGRES or not isinstance(name, str) or not name:
            raise StudyError(
                "A study in a database needs a PostgreSQL URL that names it.",
                value=hide_passwords(text),
                hint=hint,
            )
        url = parsed.set(drivername="postgresql+psycopg").difference_update_query(["study"])
        return cls(text=hide_passwords(text), url=url, name=name, directory=None)

    @property
    def database(self) -> Path | None:
        """The SQLite file; None where the store is PostgreSQL."""
        return self.directory / DATABASE_FILE if self.directory else None

    @property
    def logs(self) -> Path | None:
        """The folder of the trials' logs; None where the store is PostgreSQL."""
        return self.directory / LOG_FOLDER if self.directory else None
