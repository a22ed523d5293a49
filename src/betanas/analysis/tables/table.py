"""What every table is: rows of one kind, readable by column and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from betanas.blueprint import FloatArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")


@dataclass(frozen=True)
class Table(Generic[Row]):
    """Rows of one frozen dataclass.

    Attributes:
        rows: in the order in which they are read.
    """

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def column(self, name: str) -> list[Any]:
        """One field of every row."""
        return [getattr(row, name) for row in self.rows]

    def numbers(self, name: str, scale: float = 1.0) -> FloatArray:
        """One field of every row as numbers, NaN where there is none. Shape [rows]."""
        return np.array([np.nan if value is None else value for value in self.column(name)], dtype=np.float64) * scale

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows as plain data; a mapping (a parameter vector) becomes a column for each of its keys."""
        return [flatten(row) for row in self.rows]


def taken(kind: type[Row], source: object, **others: Any) -> Row:
    """A row that takes the fields that are not given over from an object that has them under the same names."""
    names = [entry.name for entry in fields(kind) if entry.name not in others]
    return kind(**{name: getattr(source, name) for name in names}, **others)


def flatten(row: DataclassInstance) -> dict[str, Any]:
    """A dataclass as one flat row of plain values."""
    flat: dict[str, Any] = {}
    for entry in fields(row):
        value = getattr(row, entry.name)
        if isinstance(value, Mapping):
            flat.update(value)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            flat[entry.name] = " ".join(str(item) for item in value)
        else:
            flat[entry.name] = value
    return flat
