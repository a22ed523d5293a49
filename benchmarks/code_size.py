"""How much code there is: lines with code on them, without docstrings, comments and blanks, for each part.

    python benchmarks/code_size.py [--root CHECKOUT] [--before CHECKOUT]

With `--before`, both are counted and the record is written: the bar is 19,000 lines after the redesign.

A docstring is an expression statement that is a string; every physical line of a statement that spans several counts.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

from _record import write_record

_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)


def code_lines(source: str) -> int:
    """Lines of a Python file that hold code."""
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documentation.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - documentation)


def main() -> None:
    """Count, and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    arguments.add_argument("--before", type=Path)
    given = arguments.parse_args()
    parts = count(given.root)
    if given.before is not None:
        earlier = count(given.before)
        write_record(
            "code_size",
            conditions={"counted": "src/betanas, without docstrings, comments and blank lines"},
            figures={
                name: {"total": found.total(), "parts": dict(found.most_common())}
                for name, found in (("before", earlier), ("after", parts))
            },
        )
        return
    for part, lines in parts.most_common():
        print(f"{lines:7,d}  {part}")
    print(f"{parts.total():7,d}  in all")


def count(root: Path) -> Counter[str]:
    """Lines with code of each part of a checkout's package."""
    package, parts = root / "src" / "betanas", Counter[str]()
    for file in sorted(package.rglob("*.py")):
        inside = file.relative_to(package).parts
        parts[inside[0].removesuffix(".py")] += code_lines(file.read_text(encoding="utf-8"))
    return parts


if __name__ == "__main__":
    main()
