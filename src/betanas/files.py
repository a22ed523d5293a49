"""Files that are either whole or not there, whatever happens while they are written, and none through a link."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import IO


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


def open_unlinked(path: Path, flags: int) -> IO[bytes]:
    """Open a file, unbuffered, with flags of `os.open`; never through a link in its place.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
    mode = "ab" if flags & os.O_APPEND else "wb" if flags & (os.O_WRONLY | os.O_RDWR) else "rb"
    return os.fdopen(descriptor, mode, buffering=0)
