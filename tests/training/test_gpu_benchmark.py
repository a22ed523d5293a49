"""The benchmark that waits for a GPU, tried out on a processor: its parts run and its record is whole."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUICK = "steps,same_losses,preparation,memory,out_of_memory,throughput,batches"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    return importlib.import_module("gpu")


def test_every_part_inside_the_process_runs_and_one_that_fails_is_recorded(gpu, monkeypatch, tmp_path):
    def broken(_) -> dict:
        raise ValueError("no such card")

    monkeypatch.setattr(gpu, "PARTS", {**gpu.PARTS, "accuracy": gpu.Part(broken, 1)})
    code = gpu.main(["--dry-run-cpu", "--parts", f"{QUICK},accuracy", "--results", str(tmp_path)])
    record = json.loads((tmp_path / "gpu_dry_run.json").read_text())
    assert (code, record["figures"]["failed"]) == (1, {"accuracy": "ValueError: no such card"})
    assert set(QUICK.split(",")) <= set(record["figures"])
    eager = record["figures"]["steps"]["R=16, 8 images, eager"]
    assert (eager["outcome"], eager["stepping"]) == ("completed", "eager: the device has no graphs")
    assert record["figures"]["same_losses"]["largest_relative_difference"] == 0.0
    assert record["figures"]["same_losses"]["the_next_one"][0] == "completed"


def test_every_part_is_written_at_once_and_a_second_command_goes_on(gpu, monkeypatch, tmp_path):
    """Where a machine is lent for ten minutes a command, the first is cut off and the next measures the rest."""
    record, calls = tmp_path / "gpu_dry_run.json", []

    def part(name: str, *, cut_off: bool = False):
        def measure(_) -> dict:
            calls.append(name)
            if cut_off and calls.count(name) == 1:
                raise KeyboardInterrupt
            if cut_off and calls.count(name) == 2:
                raise ValueError("broken")
            return {"figure": len(calls)}

        return gpu.Part(measure, 10)

    monkeypatch.setattr(gpu, "PARTS", {"first": part("first"), "second": part("second", cut_off=True)})
    command = ["--dry-run-cpu", "--parts", "first,second", "--results", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        gpu.main(command)
    assert json.loads(record.read_text())["figures"]["first"]["figure"] == 1
    assert gpu.main([*command, "--go-on"]) == 1
    assert json.loads(record.read_text())["figures"]["failed"] == {"second": "ValueError: broken"}
    assert gpu.main([*command, "--go-on"]) == 0
    figures = json.loads(record.read_text())["figures"]
    assert (figures["failed"], figures["first"]["figure"], figures["second"]["figure"]) == ({}, 1, 4)
    assert calls == ["first", "second", "second", "second"]
    monkeypatch.setattr(gpu, "commit", lambda: "another")
    gpu.main([*command, "--go-on"])
    assert calls[4:] == ["first", "second"]


def test_parts_that_do_not_fit_are_left_out_and_all_that_decide_do(gpu):
    assert sum(part.seconds for part in gpu.PARTS.values()) < 30 * 60
    assert max(part.seconds for part in gpu.PARTS.values()) <= 400
    decisive = list(gpu.PARTS)[:9]
    assert sum(gpu.PARTS[name].seconds for name in decisive) < gpu.WHOLE


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(gpu, capsys, tmp_path):
    assert gpu.main(["--results", str(tmp_path)]) == 2
    assert "needs a GPU; --dry-run-cpu" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        gpu.main(["--dry-run-cpu", "--parts", "nothing"])
    assert not list(tmp_path.iterdir())


@pytest.mark.soak
def test_every_part_runs(gpu, tmp_path):
    assert gpu.main(["--dry-run-cpu", "--results", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "gpu_dry_run.json").read_text())
    assert set(gpu.PARTS) <= set(record["figures"])
    assert record["figures"]["kill_and_resume"]["workers_left"] == 0
    assert record["figures"]["kill_and_resume"]["completed_after"] == 4
