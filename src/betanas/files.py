"""Files that are whole or not there whatever happens while they are written, none through a link, none without end."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from pathlib import Path
from typing import IO, Any

# Of a document that a person may have been sent. The largest of ours, a training's plan with a deep network, has a few
# hundred kB.
_LARGEST_DOCUMENT = 16 * 2**20


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
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:  # a full disk: nobody else knows the file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def open_unlinked(path: Path, flags: int) -> IO[bytes]:
    """Open a file, unbuffered, with flags of `os.open`; never through a link in its place.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
    mode = "ab" if flags & os.O_APPEND else "wb" if flags & (os.O_WRONLY | os.O_RDWR) else "rb"
    return os.fdopen(descriptor, mode, buffering=0)


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading, unbuffered; opening a pipe would wait for ever, and reading a device never ends.

    Raises:
        OSError: it cannot be opened, or is a pipe, a device or a folder.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise OSError(errno.EISDIR, "It is a folder", str(path))
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "It is not a regular file", str(path))
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, *, limit: int) -> bytes:
    """A regular file's bytes.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger than the limit.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"It is larger than {limit >> 20} MiB", str(path))
    return content


def read_document(path: Path) -> str:
    """The text of a document that may be a stranger's: of a regular file, and of a reasonable size.

    Raises:
        OSError: as of `read_bytes`.
        UnicodeDecodeError: it is no text.
    """
    return read_bytes(path, limit=_LARGEST_DOCUMENT).decode("utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a document that may be a stranger's.

    Raises:
        OSError: as of `read_bytes`.
        ValueError: it is no JSON object.
    """
    try:
        document = json.loads(read_document(path))
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return document
