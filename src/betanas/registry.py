"""What is known by name: search spaces, strategies, data sources, objectives, executors, scaling rules.

One `Registry` holds those of a kind, wherever they come from: built in, registered by the running program, brought by
an installed package (an entry point), or in a Python file of the user's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from betanas.errors import UserError, did_you_mean
from betanas.userfile import cannot_load, python_file, run_user_file

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T", bound=Callable[..., object])
_Item = TypeVar("_Item", bound=Callable[..., object])

# What the command line can be given without quotes, and what is not mistaken for a path.
NAME = re.compile(r"\w[\w.+-]*")


class Registry(Generic[T]):
    """The classes (or functions) of one kind by name.

    Args:
        kind: what one of them is called in messages: "search space".
        group: of the entry points by which packages bring theirs.
        error: what is raised.
        built_in: where each of BetaNAS's own is, as "package.module:Class": a name costs no import until it is used.
        base: the class that each must derive from; None for functions.
        register: what a file calls to register one, for messages.
        attribute: what a file may define instead of registering one; empty for nothing.
        check: is given what is to be registered, and raises where it cannot be used.
    """

    def __init__(
        self,
        kind: str,
        *,
        group: str,
        error: type[UserError],
        built_in: Mapping[str, str],
        base: type | None,
        register: str,
        attribute: str = "",
        check: Callable[[T], None] = lambda _: None,
    ) -> None:
        self.kind = kind
        self.group = group
        self._one = f"An {kind}" if kind[0] in "aeiou" else f"A {kind}"
        self._error = error
        self._built_in = dict(built_in)
        self._base = base
        self._register = register
        self._attribute = attribute
        self._check = check
        self._registered: dict[str, T] = {}
        self._added: list[T] | None = None  # by the file that runs

    def register(self, item: _Item) -> _Item:
        """Make a class known by its attribute `name`; usable as a decorator.

        Registering it again is harmless, and so is registering what a module defines anew when it is run again.

        Raises:
            UserError: of the registry's kind: the name is taken or impossible, or the class is not one of these.
        """
        self.register_as(getattr(item, "name", None), item)
        return item

    def register_as(self, name: object, item: Any) -> None:
        """Make a class or function known by a name.

        Raises:
            UserError: as of `register`.
        """
        if self._base is not None:
            self._check_class(item)
        if not isinstance(name, str) or not NAME.fullmatch(name) or name.endswith(".py"):
            raise self._error(
                f"{self._one}'s name must be a word, which may have hyphens and dots inside.",
                value=name,
                hint=f"It is what is typed to choose it; {_where(item)} has the name {name!r}.",
            )
        holder = self._built_in.get(name) or (_where(self._registered[name]) if name in self._registered else None)
        if holder not in (None, _where(item)):
            raise self._error(
                f"{self._one} must have a name of its own.",
                value=name,
                hint=f"It is the name of {holder}; choose another one for {_where(item)}.",
            )
        self._check(item)
        if name not in self._built_in:
            self._registered[name] = item
        if self._added is not None and item not in self._added:
            self._added.append(item)

    def names(self) -> tuple[str, ...]:
        """Every name that `get` knows: BetaNAS's own first, the default before all."""
        return tuple(dict.fromkeys([*self._built_in, *self._registered, *(entry.name for entry in self._entries())]))

    def find(self, name: str) -> T | None:
        """What has a name, or what the Python file of that path registers; None where there is neither.

        Raises:
            UserError: of the registry's kind: the file or the package that brings it cannot be used.
            MissingExtraError: it needs a package that is not installed.
        """
        if name in self._built_in:
            found: T = resolve_name(self._built_in[name])
            return found
        if name not in self._registered:
            if file := python_file(name):
                return self.load(file)
            self._load_entry_point(name)
        return self._registered.get(name)

    def get(self, name: str) -> T:
        """What has a name, or what the Python file of that path registers.

        Raises:
            UserError: of the registry's kind: there is nothing of that name, or it cannot be used.
            MissingExtraError: it needs a package that is not installed.
        """
        found = self.find(name)
        if found is None:
            raise self.unknown(name)
        return found

    def require(self, name: str) -> None:
        """Refuse a name that nothing has, without importing what has it; a file is taken for what it should be.

        Raises:
            UserError: of the registry's kind: there is nothing of that name.
        """
        if name not in self.names() and not python_file(name):
            raise self.unknown(name)

    def unknown(self, name: str) -> UserError:
        """The error for a name that nothing has: what there is, and the nearest of it."""
        known = self.names()
        return self._error(
            f"The {_plural(self.kind)} are {', '.join(known)}.",
            value=name,
            hint=did_you_mean(name, known, "Type one of them, or a .py file that registers your own."),
        )

    def load(self, file: Path) -> T:
        """What a Python file registers, which must be one of these and no more.

        Raises:
            UserError: of the registry's kind: the file is missing, fails, or registers none or several.
        """
        what = f"The {self.kind}'s file"
        hint = f"The file must call {self._register} once."
        if self._attribute:
            hint = f"The file must define the function {self._attribute}, or call {self._register} once."
        added: list[T] = []
        before, outer, self._added = dict(self._registered), self._added, added
        try:
            module = run_user_file(file, kind=what, error=self._error, hint=hint)
            if not added and self._attribute and hasattr(module, self._attribute):
                added.append(getattr(module, self._attribute))
                self._check(added[0])
            if len(added) != 1:
                raise self._error(f"{what} must register exactly one {self.kind}.", value=len(added), hint=hint)
        except UserError:
            self._registered = before
            raise
        finally:
            self._added = outer
        return added[0]

    def _check_class(self, item: object) -> None:
        base = self._base
        assert base is not None  # noqa: S101 - for the type checker
        if not (isinstance(item, type) and issubclass(item, base)):
            raise self._error(f"{self._one} must be a class that derives from {base.__name__}.", value=_where(item))
        if missing := sorted(getattr(item, "__abstractmethods__", ())):
            raise self._error(
                f"{self._one} must define everything that {base.__name__} asks for.",
                value=f"{_where(item)} without {', '.join(missing)}",
            )

    def _entries(self) -> tuple[EntryPoint, ...]:
        from importlib.metadata import entry_points

        return tuple(entry_points(group=self.group))

    def _load_entry_point(self, name: str) -> None:
        entries = [entry for entry in self._entries() if entry.name == name]
        if len({entry.value for entry in entries}) > 1:
            raise self._error(
                f"One package alone may bring the {self.kind} {name}.",
                value="; ".join(map(_written, entries)),
                hint="Uninstall the others.",
            )
        for entry in entries[:1]:
            try:
                item = entry.load()
                self.register_as(getattr(item, "name", None) if self._base else name, item)
                if name not in self._registered:
                    raise self._error("An entry point must have the name of what it loads.", value=item.name)
            except (Exception, SystemExit) as failure:
                what = f"The {self.kind}'s package"
                raise cannot_load(what, _written(entry), failure, error=self._error) from failure


def _where(item: object) -> str:
    """Where a class or function is defined, which tells two of the same name apart."""
    return f"{getattr(item, '__module__', '')}:{getattr(item, '__qualname__', repr(item))}"


def _written(entry: EntryPoint) -> str:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
    return f"{entry.name} = {entry.value} of {package}"


def _plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
