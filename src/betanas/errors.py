"""Every exception BetaNAS raises on purpose.

    BetanasError                what went wrong, in one sentence a person can act on
    ├── UserError               the input is wrong: the command line ends with exit code 2
    │   ├── QuantityError       a budget, a size or a range that cannot be read
    │   ├── SpaceError          an unknown space, preset or parameter, or a range that makes no sense
    │   ├── VectorError         a parameter vector that the space cannot turn into a network
    │   ├── BlueprintError      a blueprint that does not describe a network
    │   ├── DataError           images that cannot be found, read or used
    │   ├── RecipeError         a training recipe that cannot be read or run
    │   ├── LimitError          cost limits that leave nothing to search
    │   │   └── SpaceExhausted  every network within them has been tried; a search that gets there is complete
    │   ├── StrategyError       an unknown or unusable search strategy or objective
    │   ├── StudyError          a study that is missing, in use, or something else altogether
    │   ├── DeviceError         a device or an executor that is not there
    │   ├── ExportError         a network that cannot be handed over in the form asked for
    │   └── MissingExtraError   an optional dependency that is not installed
    └── StoreError              the study's store cannot be written: the disk, not the input (exit code 1)

Each carries the rule that was broken, the value that broke it and a hint that says what to type instead, so
that the command line, a notebook and a log all show the same sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

_NO_VALUE = object()


class BetanasError(Exception):
    """Something went wrong that BetaNAS can explain.

    Attributes:
        rule: what must hold, as a full sentence.
        value: what was found instead (absent where the rule alone says it).
        hint: what to do or type instead.
        exit_code: what the command line returns.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, rule: str, *, value: object = _NO_VALUE, hint: str = "") -> None:
        self.rule = rule
        self.value = None if value is _NO_VALUE else value
        self.hint = hint
        parts = [rule]
        if value is not _NO_VALUE:
            parts.append(f"Got {value!r}." if isinstance(value, str) else f"Got {value}.")
        if hint:
            parts.append(hint)
        super().__init__(" ".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip from a worker process: the default would call the constructor with the message."""
        return (_rebuild, (type(self), str(self), self.rule, self.value, self.hint))


def _rebuild(kind: type[BetanasError], message: str, rule: str, value: object, hint: str) -> BetanasError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.rule, error.value, error.hint = rule, value, hint
    return error


class UserError(BetanasError):
    """The input is wrong; the same call with other input works."""

    exit_code: ClassVar[int] = 2


class QuantityError(UserError):
    """A budget (`5m`), a size (`20GiB`), a count (`30M`) or a range (`2:4`) that cannot be read."""


class SpaceError(UserError):
    """An unknown search space, preset or parameter, or a range that makes no sense for one."""


class VectorError(UserError):
    """A parameter vector with a missing, unknown or impossible value."""


class BlueprintError(UserError):
    """A blueprint that does not describe a network: layers that do not fit each other, damaged JSON."""


class DataError(UserError):
    """Images that cannot be found, read or used."""


class RecipeError(UserError):
    """A training recipe that cannot be read or run."""


class LimitError(UserError):
    """Cost limits that leave nothing, or almost nothing, of the search space."""


class SpaceExhausted(LimitError):  # noqa: N818 (an end of the search rather than a mistake)
    """Every network of the space that keeps the limits has been suggested, as a strategy says it.

    A search that gets there is complete and ends as finished; only code that asks a strategy sees the error.
    """


class StrategyError(UserError):
    """An unknown or unusable search strategy or objective."""


class StudyError(UserError):
    """A study that is missing, in use by another search, or not a study."""


class DeviceError(UserError):
    """A device or an executor that is not there."""


class ExportError(UserError):
    """A network that cannot be handed over in the form asked for."""


class MissingExtraError(UserError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed.",
            hint=f"Install it with: pip install 'betanas[{extra}]'",
        )


class StoreError(BetanasError):
    """The study's store cannot be written or read back: a full disk, a read-only folder, a damaged file."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The hint for a name that is not among the known ones: the nearest of them, or `otherwise` where none is near."""
    from difflib import get_close_matches  # needed only when something is wrong

    names = list(known)
    spelled = {each.casefold(): each for each in names}
    alike = get_close_matches(name, names, n=1)
    alike = alike or [spelled[each] for each in get_close_matches(name.casefold(), spelled, n=1)]
    return f"Did you mean {alike[0]}?" if alike else otherwise
