"""A value that an option cannot take is refused in our words, and nothing stands for "not given" that was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from betanas.cli.main import run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compare", "plain4", "--folder", "c", "--seeds", "0"], "--seeds must be at least 1. Got '0'."),
        (["compare", "plain4", "--folder", "c", "--seeds", "1" + 20 * "0"], "--seeds must be at most 1,000."),
        (["confirm", "study", "--seeds", "100000"], "--seeds must be at most 1,000."),
        (["confirm", "study", "--top", "0"], "--top must be at least 1."),
        (["describe", "betanet3", "--resolution", "48px"], "--resolution must be a whole number. Got '48px'."),
        (["scale", "betanet3", "--growth", "much"], "--growth must be a number. Got 'much'."),
        (["best", "study", "--by", "modle"], "Did you mean model?"),
        (["report", "study", "--format", "docx"], "--format must be one of html, png, svg, pdf,"),
        (["dashboard", "study", "--port", "99999"], "--port must be at most 65,535."),
        (["dashboard", "study", "--refresh", "0"], "--refresh must be at least 0.2."),
        (["search", "--data", "digits", "--study", "s", "--batch-size", "0"], "--batch-size must be a whole number"),
        (["search", "--data", "digits", "--study", "s", "--trials", "1" + 22 * "0"], "from 1 to 1,000,000"),
        (["search", "--data", "digits", "--study", "s", "--resolution", "0"], "from 8 to 4,096"),
        (["train", "plain4", "--data", "digits", "--folder", "t", "--resolution", "0"], "from 8 to 4,096"),
        (["profile", "plain4", "--resolution", "0"], "from 8 to 4096. Got 0."),
        (["profile", "betanet3", "--classes", "0"], "number of classes must be a whole number"),
        (["scale", "betanet3", "--classes", "0"], "number of classes must be a whole number"),
        (["scale", "betanet3", "--from-resolution", "0"], "from 8 to 4096. Got 0."),
        (["scale", "betanet3", "--to-resolution", "0"], "from 8 to 4096. Got 0."),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_wrong_value_is_refused_in_our_words(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.startswith("betanas: ")
    assert said.count("\n") == 1, "one message"
    assert "Input should" not in said
    assert list(tmp_path.iterdir()) == []
