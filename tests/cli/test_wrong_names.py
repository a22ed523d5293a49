"""A name with a slip in it gets the nearest that there is, and gets it before anything heavy is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from betanas.cli.main import run

SEARCH = ["search", "--data", "digits", "--study", "study"]
TRAIN = ["train", "--data", "digits", "--folder", "training"]

# What is typed, and what was meant. None of these needs torch to be refused.
LIGHT = [
    ([*SEARCH, "--space", "betnet3"], "betanet3"),
    ([*SEARCH, "--strategy", "gepi"], "gpei"),
    ([*SEARCH, "--preset", "tabel1"], "table1"),
    ([*SEARCH, "--recipe", "fats"], "fast"),
    ([*SEARCH, "--executor", "lokal"], "local"),
    ([*SEARCH, "--objective", "acuracy"], "accuracy"),
    ([*SEARCH, "--range", "kk=2:3"], "k"),
    ([*SEARCH, "--fix", "wla=0.1"], "WLa"),
    (["search", "--data", "Fashion_MNIST", "--study", "study"], "fashion-mnist"),
    (["describe", "betnet3"], "betanet3"),
    (["describe", "betanet3", "--preset", "Report"], "report"),
    (["scale", "betanet3", "--rule", "selfsimilar"], "self-similar"),
    (["scale", "betanet3_r244"], "betanet3_r224"),
]

# What a network is called is known where networks are built.
HEAVY = [
    ([*TRAIN, "betnet3"], "betanet3"),
    ([*TRAIN, "resnet5"], "resnet50"),
    ([*TRAIN, "betanet3", "--recipe", "papr"], "paper"),
    (["train", "betanet3", "--folder", "training", "--data", "cifra10"], "cifar10"),
    (["compare", "mobilenetv2", "--folder", "comparison", "--data", "digits"], "mobilenet_v2"),
    (["profile", "betanet3_digits_r16"], "betanet2_digits_r16"),
]


def names(words: list[str]) -> str:
    return " ".join(words)


@pytest.mark.parametrize(
    ("words", "meant"), [*LIGHT, *HEAVY], ids=lambda value: value if isinstance(value, str) else names(value)
)
def test_a_slip_gets_the_nearest_name(
    words: list[str], meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    told = capsys.readouterr().err
    assert f"Did you mean {meant}?" in told
    assert told.count("\n") == 1, "one message"
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_a_slip_is_told_before_torch_is_loaded(tmp_path: Path) -> None:
    wrong = [
        *(words for words, _ in LIGHT),
        [*SEARCH, "--budget", "5x"],
        [*SEARCH, "--resolution", "0"],
        [*SEARCH, "--range", "k=3:2"],
        [*SEARCH, "--plugin", "gone.py"],
        ["search", "--data", "no/such/folder", "--study", "study"],
        ["status", "no-such-study"],
    ]
    code = (
        "import json, sys\n"
        "from betanas.cli.main import run\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    code = run(words)\n"
        "    loaded = [name for name in ('torch', 'torchvision', 'ax', 'botorch', 'sklearn') if name in sys.modules]\n"
        "    assert code == 2, (code, words)\n"
        "    assert not loaded, (loaded, words)\n"
    )
    command = [sys.executable, "-c", code, json.dumps(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
