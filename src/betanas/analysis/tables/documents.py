"""Documents that are kept beside a study's trials: found, checked and read; a damaged one is refused in one message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot

Parsed = TypeVar("Parsed")


@contextmanager
def readable(what: str, document: Mapping[str, Any], version: int | None = None) -> Iterator[None]:
    """Read a document: whatever goes wrong inside means that it is damaged.

    Args:
        what: the document, as the beginning of a sentence.
        document: the document.
        version: of its format; None where it has none.

    Raises:
        AnalysisError: it is damaged, or of another format.
    """
    if version is not None and document.get("format") != version:
        raise AnalysisError(f"{what} must have format {version}.", value=document.get("format"))
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise AnalysisError(f"{what} is damaged.", value=f"{type(error).__name__}: {error}") from error


def attached(
    snapshot: StudySnapshot, kind: str, parse: Callable[[Mapping[str, Any]], Parsed], missing: str, hint: str = ""
) -> Parsed:
    """A study's newest document of a kind.

    Raises:
        MissingDataError: there is none.
        AnalysisError: it is damaged.
    """
    found = snapshot.attachment(kind)
    if found is None:
        raise MissingDataError(missing, hint=hint)
    return parse(found.document)
