"""The deployment page shows what the record says, and nothing where there is none."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

from betanas.export.exporting import FORMATS, NAMED_ONLY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
PAGES = runpy.run_path(str(ROOT / "benchmarks" / "_page_tables.py"))
TABLE = runpy.run_path(str(ROOT / "benchmarks" / "_targets_table.py"))
WALK = runpy.run_path(str(ROOT / "benchmarks" / "_walk_table.py"))


def test_the_table_is_the_records() -> None:
    record = ROOT / "benchmarks" / "results" / "export_targets.json"
    table = TABLE["table_of"](json.loads(record.read_text())) if record.exists() else PAGES["UNMEASURED"]
    assert PAGES["with_table"](PAGE, "export_targets", table) == PAGE, "benchmarks/export_targets.py writes the table"


def test_a_record_becomes_a_table() -> None:
    judged = {"validation_images": 5000, "agreement": 0.9998, "largest_probability_difference": 2e-6}
    figures = {
        "bytes": {"onnx, floats": 560_123, "coreml, bytes": 500_000},
        "formats": {"onnx, floats": judged},
        "milliseconds_an_image": {"onnx, floats": {"ratio_to_onnx": 1.0}},
        "left_out": {"coreml, bytes": "written, and cannot be run on this system"},
    }
    table = TABLE["table_of"]({"figures": figures})
    assert "| onnx, floats | 99.98% of 5,000 | 2.0e-06 | 560 kB | 1.00 |" in table
    assert "| coreml, bytes | - | - | 500 kB | - |" in table
    assert table.endswith("Not run: coreml, bytes: written, and cannot be run on this system.")


def test_what_the_walk_gave_is_the_records() -> None:
    record = ROOT / "benchmarks" / "results" / "deploy_page.json"
    table = WALK["table_of"](json.loads(record.read_text())) if record.exists() else PAGES["UNMEASURED"]
    assert PAGES["with_table"](PAGE, "deploy_page", table) == PAGE, "benchmarks/deploy_page.py writes the table"


def test_a_walk_becomes_a_table() -> None:
    found = {
        "validation_accuracy": 0.5125,
        "validation_images": 400,
        "params": 41_000,
        "macs": 2_400_000,
        "resolution": 32,
        "trials": 12,
        "latency": 0.0010,
        "latency_measured": 0.0011,
    }
    checked = {"agreement": 1.0, "validation_images": 400}
    judged = {"top1_float": 0.5125, "top1": 0.51, "images": 400}
    lost = {"validation": judged, "final": None, "kept": ["one"], "layers": 13}
    exports = {
        "phone": {
            "bytes": {"network.onnx": 170_000, "network.int8.onnx": 60_000},
            "verification": {"onnx": checked},
            "unchecked": [],
            "quantisation": lost,
        },
        "apple": {
            "bytes": {"network.mlpackage": 90_000},
            "verification": {},
            "unchecked": ["coreml"],
            "quantisation": None,
        },
    }
    conditions = {
        "photos_a_class": 400,
        "classes": 10,
        "data": "CIFAR-100",
        "side": 64,
        "time": "1h",
        "limit": "3ms",
        "beside_it_the_machine_did": "nothing",
    }
    answered = {"class": "apple", "probability": 0.8}
    figures = {
        "found": found,
        "exports": exports,
        "predict": answered,
        "program": answered,
        "left_out": {"litert": "no"},
    }
    table = WALK["table_of"]({"conditions": conditions, "figures": figures})
    assert "| a limit of 3ms | 1.000 ms predicted, 1.100 ms measured: 1.10 of it |" in table
    assert "| `phone/network.onnx` | 170 kB; the same first choice for 100.00% of 400 validation images |" in table
    assert "60 kB; 0.25 points lost on 400 images; 1 of 13 layers stay in float32 |" in table
    assert "| `apple/network.mlpackage` | 90 kB; written, and not run here |" in table
    assert "the program's first choice is the same as `betanas predict`'s" in table
    assert table.endswith("Not written, `litert`: no")


def test_the_formats_that_it_tells_to_type_exist() -> None:
    assert set(re.findall(r"--format (\w+)", PAGE)) <= {*FORMATS, *NAMED_ONLY}
