"""The deployment page shows what the record says, and nothing where there is none."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

from betanas.export.exporting import FORMATS, NAMED_ONLY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
TABLE = runpy.run_path(str(ROOT / "benchmarks" / "_targets_table.py"))


def test_the_table_is_the_records() -> None:
    record = ROOT / "benchmarks" / "results" / "export_targets.json"
    table = TABLE["table_of"](json.loads(record.read_text())) if record.exists() else TABLE["UNMEASURED"]
    assert TABLE["with_table"](PAGE, table) == PAGE, "benchmarks/export_targets.py writes the table"


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


def test_the_formats_that_it_tells_to_type_exist() -> None:
    assert set(re.findall(r"--format (\w+)", PAGE)) <= {*FORMATS, *NAMED_ONLY}
