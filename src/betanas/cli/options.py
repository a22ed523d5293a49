"""Command line options from declared settings, so that no command lists them again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, replace
from functools import wraps
from pkgutil import resolve_name
from typing import Annotated, Any

import typer

from betanas.declaration import Kind, Setting, settings_of
from betanas.search.settings import RESUMABLE, SETTINGS, STUDY, MachineSettings

# What a command with options of settings receives: those that were typed, by name.
Given = dict[str, Any]

SEARCH = (STUDY, *SETTINGS.values())

# Where a study goes on: what is not typed stays as it was, so no default is shown.
RESUME = tuple(replace(SETTINGS[name], default=None) for name in RESUMABLE if name != "data")
MACHINE = tuple(each for each in RESUME if each.name in settings_of(MachineSettings))
SAME_DATA = replace(SETTINGS["data"], help="Where the same images are on this machine.", panel="Where")


def with_settings(*declared: Setting) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of declared settings in the place of its parameter `given`.

    What was typed reaches it there by the settings' names, read and checked as far as it can be alone.
    """
    shown = [each for each in declared if each.flag]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name == "given":
                parameters += [_parameter(each) for each in shown]
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        @wraps(command)
        def run(**typed: Any) -> None:
            values = [(each, typed.pop(each.name)) for each in shown]
            given = {
                each.name: each.read(value) if each.kind.alone else value
                for each, value in values
                if value not in (None, [])
            }
            command(given=given, **typed)

        # Typer reads both, and neither must lead it back to the command's own.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def filled(given: Given, *declared: Setting) -> Given:
    """What was typed, and the defaults of declared settings that were not."""
    return {each.name: each.default for each in declared} | given


def _parameter(declared: Setting) -> inspect.Parameter:
    kind = declared.kind
    names = [declared.flag] if kind.metavar else [f"{declared.flag}/--no-{declared.flag.removeprefix('--')}"]
    option = typer.Option(
        *names,
        help=declared.help + _default(declared),
        rich_help_panel=declared.panel or None,
        metavar=kind.metavar or None,
        show_default=False,
        autocompletion=_completion(kind) if kind.choices or kind.known else None,
    )
    typed = list[str] if kind.repeated else str if kind.metavar else bool
    return inspect.Parameter(
        declared.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[typed | None, option]
    )


def _default(declared: Setting) -> str:
    """The default as the help shows it; nothing where there is none."""
    if declared.default in (None, MISSING, (), {}) or not declared.kind.metavar:
        return ""
    text = ",".join(declared.default) if isinstance(declared.default, tuple) else str(declared.default)
    return f" [dim]\\[default: {text}][/dim]"


def _completion(kind: Kind) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [each for each in kind.choices or resolve_name(kind.known)() if each.startswith(incomplete)]

    return complete
