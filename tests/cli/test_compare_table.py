"""The table of `betanas compare`: whole names and numbers on a narrow terminal, no interval from two seeds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from betanas.cli.compare import comparison_table
from betanas.intervals import accuracy_interval, mean_interval
from betanas.search.compared import ComparedRow


@pytest.fixture
def row() -> ComparedRow:
    return ComparedRow(
        name="efficientnet_b0_32px",
        role="benchmark",
        params=4_136_000,
        macs=30_000_000,
        resolution=32,
        budget="60s",
        recipe="fast",
        judged_on="test",
        top1=accuracy_interval([0.5, 0.6, 0.7]),
        top5=accuracy_interval([0.8, 0.9, 1.0]),
        training_seconds=mean_interval([60.0, 60.0, 60.1]),
        images_per_second=mean_interval([1000.0, 1100.0, 1200.0]),
        peak_memory=2**30,
        failed=0,
    )


def printed(row: ComparedRow, width: int) -> str:
    out = Console(width=width)
    with out.capture() as found:
        out.print(comparison_table([row], width=width))
    return found.get()


def test_a_narrow_terminal_shows_names_and_numbers_whole(row: ComparedRow) -> None:
    text = printed(row, 80)
    assert "efficientnet_b0_32px" in text
    assert "60.00 ± 24.84" in text
    assert "…" not in text
    assert "Images/s" not in text


def test_a_wide_terminal_shows_everything(row: ComparedRow) -> None:
    text = printed(row, 140)
    for shown in ("efficientnet_b0_32px", "Top-5", "Images/s", "1,100", "1.00 GiB", "30.00M", "60.00 ± 24.84"):
        assert shown in text
    assert "…" not in text


def test_two_seeds_give_no_interval(row: ComparedRow) -> None:
    assert "±" not in printed(replace(row, top1=accuracy_interval([0.5, 0.7]), top5=None), 140)
