"""A stand-in for CUDA's graphs on a processor that records what a graph does: operations, not Python.

What was recorded is replayed operation by operation, on the memory in which it was recorded. A step whose Python would
decide anything anew (a rate that is a number, a tensor put in another's place) therefore learns something else here, as
it would on a GPU. What no graph can hold is refused: waiting for the device, and bringing it anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typing_extensions import override

from betanas.training.graphs import GraphRefusedError, Graphs

# Operations that wait for a GPU, since Python or a shape needs a value that lies there.
_WAITING = (
    "_local_scalar_dense",
    "bincount",
    "equal.",
    "is_nonzero",
    "masked_select",
    "multinomial",
    "nonzero",
    "repeat_interleave.Tensor",
    "_unique",
    "unique",
)

# What Python may not call: on a processor some of it reaches memory without any operation.
_ASKING = {
    Tensor.item: "asks for a value",
    Tensor.tolist: "asks for values",
    Tensor.numpy: "asks for values",
    Tensor.cpu: "brings values to the processor",
    Tensor.__bool__: "asks for a value",
    Tensor.__float__: "asks for a value",
    Tensor.__int__: "asks for a value",
    Tensor.__index__: "asks for a value",
    torch.tensor: "brings values to the device",
    torch.as_tensor: "brings values to the device",
    torch.from_numpy: "brings values to the device",
}


class _NothingAsked(TorchFunctionMode):
    """Refuses calls from Python that exchange values between processor and device."""

    @override
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _ASKING:
            raise GraphRefusedError(f"{func.__name__} {_ASKING[func]}")
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class _Operation:
    """An operation with the tensors that it was given and gave."""

    function: Any
    arguments: Any
    settings: dict[str, Any]
    given: list[Tensor]

    def replay(self) -> None:
        fresh = _tensors(self.function(*self.arguments, **self.settings))
        for kept, found in zip(self.given, fresh, strict=True):
            if kept.untyped_storage().data_ptr() != found.untyped_storage().data_ptr():
                kept.copy_(found)


class _Recorder(TorchDispatchMode):
    """Notes every operation, those of a backward pass included."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[_Operation] = []

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.")
        masked = name.startswith(("index.", "index_put")) and any(
            each.dtype in (torch.bool, torch.uint8) for each in _tensors(args[1])
        )
        if name.startswith(_WAITING) or masked:
            raise GraphRefusedError(f"{name} waits for the device")
        settings = dict(kwargs or {})
        found = func(*args, **settings)
        self.operations.append(_Operation(func, args, settings, _tensors(found)))
        return found


class ReplayedGraphs(Graphs):
    """Records on a processor, and replays what was recorded."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.operations = 0

    @override
    def rehearse(self, work: Callable[[], None]) -> None:
        self.log.append("rehearse")
        work()

    @override
    def capture(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        self.log.append("capture")
        recorder = _Recorder()
        with _NothingAsked(), recorder:
            work()
        self.operations = len(recorder.operations)

        @torch.no_grad()
        def replay() -> None:
            self.log.append("replay")
            for operation in recorder.operations:
                operation.replay()

        return replay


def _tensors(values: Any) -> list[Tensor]:
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]
