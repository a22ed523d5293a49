"""Files that are either whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under another name, bring it to the disk, and only then give it its own name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by `tempfile`, whose files are for their owner's eyes alone: colleagues share these folders.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
