"""The commands of docs/cluster.md that need a cluster or a database to run: their options exist and can be read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import typer

from betanas.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"


def test_every_command_can_be_read() -> None:
    group = typer.main.get_command(app)
    titled = re.findall(
        r'^```bash title="[^"]+"\n(.*?)^```$', PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    lines = [found for block in titled for found in re.findall(r"betanas (?:search|resume|best|status) [^\n]*", block)]
    assert len(lines) >= 5
    for line in lines:
        words = shlex.split(line.rstrip('"') if line.count('"') % 2 else line)
        command = group.commands[words[1]]  # type: ignore[attr-defined]
        context = command.make_context(words[1], words[2:])
        assert context.params
