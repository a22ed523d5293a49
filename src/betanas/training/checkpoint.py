"""Checkpoints of a training run: a safetensors file with every tensor and a JSON sidecar with everything else.

The sidecar is written last and names its tensors' file, so that the two always belong together; files that no sidecar
names are removed at the next checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from betanas.errors import RecipeError
from betanas.files import read_json
from betanas.training.files import file_in, read_tensors, write_json, write_tensors

_SIDECAR = "checkpoint.json"
_TENSORS = "tensors"


def save_checkpoint(folder: Path, state: Mapping[str, Any], *, step: int, notes: Mapping[str, Any]) -> None:
    """Write a checkpoint; the one before stays valid until this one is whole.

    Args:
        folder: of the run.
        state: nested dictionaries and lists with tensors and plain values at their ends.
        step: optimiser steps so far, which tells checkpoints apart.
        notes: further plain data, such as the learning curve.
    """
    tensors: dict[str, Tensor] = {}
    document = {"format": 1, "step": step, "notes": dict(notes), "state": _without_tensors(state, "", tensors)}
    name = f"checkpoint-{step:09d}.safetensors"
    write_tensors(folder / name, tensors)
    write_json(folder / _SIDECAR, {**document, _TENSORS: name})
    for old in folder.glob("checkpoint-*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """State and notes of the last whole checkpoint; None where there is none.

    Raises:
        RecipeError: the checkpoint is damaged, or not one that `save_checkpoint` wrote.
    """
    if not (folder / _SIDECAR).exists():
        return None
    try:
        document = read_json(folder / _SIDECAR)
        tensors = read_tensors(file_in(folder, document[_TENSORS]))
        return _with_tensors(document["state"], tensors), document["notes"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise RecipeError(
            "A training's checkpoint must be whole.",
            value=str(folder),
            hint=f"{type(error).__name__}: {error}. Give another folder, or remove this one to start anew.",
        ) from error


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Torch's global random numbers, of the processor and the device."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Go on with stored random numbers."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _without_tensors(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[path] = value
        return {"$tensor": path}
    if isinstance(value, Mapping):
        # JSON's keys are text; optimisers number their parameters.
        items = [[key, _without_tensors(each, f"{path}/{key}", tensors)] for key, each in value.items()]
        return {"$items": items}
    if isinstance(value, list | tuple):
        return [_without_tensors(each, f"{path}/{index}", tensors) for index, each in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if "$tensor" in value:
            return tensors[value["$tensor"]]
        return {key: _with_tensors(each, tensors) for key, each in value["$items"]}
    if isinstance(value, list):
        return [_with_tensors(each, tensors) for each in value]
    return value
