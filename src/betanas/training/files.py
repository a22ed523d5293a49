"""JSON documents and tensors as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from betanas.errors import RecipeError
from betanas.files import open_regular, write_atomically


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document atomically."""
    write_atomically(path, (json.dumps(document, indent=2) + "\n").encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors in the safetensors format, atomically: reading them back runs no code."""
    # safetensors stores neither strides nor shared memory.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomically(path, save(plain))


def read_tensors(path: Path, device: torch.device | None = None) -> dict[str, Tensor]:
    """Read what `write_tensors` wrote.

    Raises:
        OSError: the file is missing, or is a pipe or a device.
        SafetensorError: it is damaged or something else, such as a pickled checkpoint of torch's, which is not read.
    """
    open_regular(path).close()
    tensors: dict[str, Tensor] = load_file(path, device=str(device or "cpu"))
    return tensors


def file_in(folder: Path, name: object) -> Path:
    """A file that a document names, in the document's own folder.

    Raises:
        RecipeError: the name leads out of the folder.
    """
    if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
        raise RecipeError("A training's files must lie in its own folder.", value=name)
    return folder / name
