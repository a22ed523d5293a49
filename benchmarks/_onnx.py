"""What the export benchmarks share: the time of ONNX graphs beside each other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from betanas.export.formats import INPUT

_WARM_UP = 5


def milliseconds(graphs: Mapping[str, Path], repeats: int, *, side: int = 32) -> dict[str, list[float]]:
    """Milliseconds of one image on one thread, `repeats` of each graph, interleaved."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for name, path in graphs.items()
    }
    image = {INPUT: np.random.default_rng(0).random((1, 3, side, side), dtype=np.float32)}
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    for repeat in range(repeats + _WARM_UP):
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(None, image)
            if repeat >= _WARM_UP:
                taken[name].append(1000 * (time.perf_counter() - start))
    return taken
