"""The commands by name, each loaded when it is typed: listing them takes none of what they need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Of each command its module and what the list of commands says of it: the first paragraph of its own help.
COMMANDS = {
    "find": (
        "find",
        "Find a network for your images in the time you have: searched, trained, judged, exported and checked.",
    ),
    "describe": (
        "describe",
        "Show a space's parameters, or the network that a vector describes: layers, parameters, cost.",
    ),
    "search": ("search", "Search for the network that learns the most within a training budget."),
    "resume": ("search", "Go on with a search that was interrupted, killed, or is to run more trials."),
    "join": ("search", "Let this machine take part in a search that others run too, through a PostgreSQL database."),
    "status": ("study", "Show how a study stands: trials, best network so far, time spent."),
    "best": ("study", "Show a study's best network: accuracy, cost, layers."),
    "confirm": (
        "confirm",
        "Retrain the leaders and the model's maximum, which nobody has trained; `best` then reports the confirmed one.",
    ),
    "report": ("report", "Write a study's report: one HTML file to open anywhere, or a single figure or table."),
    "dashboard": (
        "dashboard",
        "Watch studies in a web page: trials as they finish, curves, comparisons; pause or stop a search.",
    ),
    "train": ("train", "Train one network to convergence; interrupted, the same command goes on where it was."),
    "compare": (
        "compare",
        "Compare networks for the same budget: test accuracy with a 95% interval, cost, speed, latency, memory.",
    ),
    "scale": (
        "scale",
        "Scale a network to a resolution, or to the largest within a cost, and compare the scaling rules.",
    ),
    "export": (
        "export",
        "Take a trained network home: weights, ONNX, torch.export or plain source, checked, with a model card.",
    ),
    "predict": ("predict", "Print the likeliest classes of images."),
    "profile": (
        "profile",
        "Measure networks on this machine: time of an answer and of a training step, and energy where it is counted.",
    ),
    "networks": (
        "library",
        "List the networks that have names: how each was found, which have weights, how to make one again.",
    ),
    "bench": ("bench", "Measure this machine."),
    "experiment": ("experiment", "Put the report's hypotheses to the test."),
}


class Commands(TyperGroup):
    """A group of commands that are loaded when they are typed."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Loaded({name: TyperCommand(name, help=said) for name, (_, said) in COMMANDS.items()})

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order in which a person meets them."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was typed, itself instead of what stands for it in the list."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and self.commands[str(command.name)], rest


class _Loaded(dict[str, Any]):
    """Commands by name: listed and looked up they are what the list shows; taken, they are themselves."""

    def __getitem__(self, name: str) -> Any:
        module, _ = COMMANDS[name]
        return load(name, getattr(import_module(f"betanas.cli.{module}"), name))


def load(name: str, command: Any) -> Any:
    """A function, or a group of commands, as Typer runs it."""
    holder = typer.Typer(rich_markup_mode="rich", add_completion=False)
    if isinstance(command, typer.Typer):
        holder.add_typer(command, name=name)
    else:
        holder.command(name)(command)
        holder.callback()(lambda: None)
    group: Any = typer.main.get_command(holder)
    return group.commands[name]
