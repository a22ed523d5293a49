"""Quantities as people type them, and as they are printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.errors import QuantityError
from betanas.quantities import format_bytes, format_count, format_seconds, parse_bytes, parse_count, parse_range


@pytest.mark.parametrize(
    ("text", "count"),
    [("30M", 30_000_000), ("1.5k", 1500), (" 12 ", 12), ("2G", 2 * 10**9), ("2B", 2 * 10**9), ("1T", 10**12),
     (".5K", 500), ("7.", 7), (42, 42)],
)  # fmt: skip
def test_counts_are_read(text: str | int, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "M", "30 millions", "-3", "0", 0, -1, True, "0.1", "1e6", "nan", "9" * 400])
def test_what_is_no_count_is_refused(text: str | int) -> None:
    with pytest.raises(QuantityError, match=r"The limit must be a positive number.*30M") as caught:
        parse_count(text, what="The limit")
    assert caught.value.value == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("20GiB", 20 * 2**30), ("20GB", 20 * 10**9), ("512 MiB", 512 * 2**20), ("1.5kB", 1500), ("3KiB", 3072),
     ("8B", 8), ("1TiB", 2**40), (1024, 1024)],
)  # fmt: skip
def test_sizes_are_read(text: str | int, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "20", "20G", "GiB", "-1GiB", "0GiB", 0, False, "20 gigabytes", "9" * 400 + "B"])
def test_what_is_no_size_is_refused(text: str | int) -> None:
    with pytest.raises(QuantityError, match=r"A memory size must be.*20GiB") as caught:
        parse_bytes(text)
    assert caught.value.value == text


@pytest.mark.parametrize(
    ("text", "ends"), [("2:4", (2, 4)), (" -0.5 : .5 ", (-0.5, 0.5)), ("1e-3:1E2", (0.001, 100)), ("4:2", (4, 2))]
)
def test_ranges_are_read(text: str, ends: tuple[float, float]) -> None:
    assert parse_range(text) == ends


@pytest.mark.parametrize("text", ["", "2", "2:", ":4", "2-4", "a:b", "2:4:6", "nan:4", "2:inf"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="two numbers with a colon"):
        parse_range(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(8_861_669, "8.86M"), (30_008_433, "30.01M"), (410_200, "410.2k"), (9_999, "9,999"), (12, "12"), (0, "0"),
     (2.5e9, "2.50G"), (1e12, "1.00T"), (999_999, "1.00M"), (999_999_999, "1.00G")],
)  # fmt: skip
def test_counts_are_printed_as_papers_do(value: float, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (3 * 2**20, "3.0 MiB"),
     (1.42 * 2**30, "1.42 GiB"), (2**40, "1024.00 GiB"), (2**20 - 1, "1.0 MiB"), (2**30 - 1, "1.00 GiB")],
)  # fmt: skip
def test_sizes_are_printed_in_binary_units(value: float, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0 s"), (12.34, "12.3 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (245, "4 min 05 s"),
     (3599.7, "1 h 00 min"), (7800, "2 h 10 min"), (7199.6, "2 h 00 min")],
)  # fmt: skip
def test_durations_are_printed_for_people(value: float, text: str) -> None:
    assert format_seconds(value) == text


@given(st.integers(1, 10**15))
def test_plain_numbers_are_read_as_they_are(value: int) -> None:
    assert parse_count(value) == value
    assert parse_bytes(f"{value}B") == value
