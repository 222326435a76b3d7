"""The user's own files: which ones a path or pattern names, and what tells one content from another."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tempfile
from pathlib import Path

import numpy as np

from mdlm.trajectory import FloatArray

Paths = str | tuple[str, ...]
"""A file, a pattern such as ``run*.xtc``, or several of them."""

HASHED_WHOLE = 128 * 2**20  # bytes; of a larger file only so many at either end
IN_MEMORY = 256 * 2**20  # bytes; larger arrays go to a temporary file


def files_of(given: Paths, field: str = "path") -> tuple[Path, ...]:
    """Every file that is meant: those of one pattern in natural order (``run2`` before ``run10``).

    Raises:
        ValueError: A file is not there, a pattern matches nothing, or a file is named twice.
    """
    patterns = (given,) if isinstance(given, str) else given
    if not patterns:
        raise ValueError(f"{field} is empty; name at least one file")
    found = [file for pattern in patterns for file in _matches(pattern, field)]
    seen: set[Path] = set()
    for file in found:
        if file.resolve() in seen:
            raise ValueError(f"{field}: {file} is named twice; every trajectory counts once")
        seen.add(file.resolve())
    return tuple(found)


def _matches(pattern: str, field: str) -> list[Path]:
    exact = Path(pattern).expanduser()
    if exact.is_file():
        return [exact]
    if not glob.has_magic(pattern):
        kind = "is a folder; give its files, as in" if exact.is_dir() else "does not exist; looked for"
        where = f"{exact / '*'}" if exact.is_dir() else f"{exact.absolute()}"
        raise ValueError(f"{field} ({pattern}) {kind} {where}")
    found = [Path(name) for name in glob.glob(str(exact), recursive=True) if Path(name).is_file()]
    if not found:
        raise ValueError(f"{field} ({pattern}) matches no file; looked in {Path.cwd()}")
    return sorted(found, key=_naturally)


def _naturally(path: Path) -> list[tuple[int, str]]:
    """Numbers in a name compare as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def content_of(path: Path) -> str:
    """A hash of what a file holds, wherever it lies; with it a changed file is read anew.

    A file of up to 128 MiB is hashed whole. Of a larger one the size, the time of its last change and 128 MiB at
    either end are, so that a copy of it may be read again, but never another content be taken for it.
    """
    status = path.stat()
    total = hashlib.blake2b(str(status.st_size).encode(), digest_size=16)
    with path.open("rb") as file:
        total.update(file.read(HASHED_WHOLE))
        if status.st_size > HASHED_WHOLE:
            total.update(str(status.st_mtime_ns).encode())
            file.seek(max(HASHED_WHOLE, status.st_size - HASHED_WHOLE))
            total.update(file.read(HASHED_WHOLE))
    return total.hexdigest()


def empty_frames(n_frames: int, n_columns: int) -> FloatArray:
    """Room for float32 frames, shape ``(n_frames, n_columns)``; much of it lies in a temporary file, not in memory.

    The file has no name and goes with the array; the environment variable ``TMPDIR`` says where it is made.

    Raises:
        ValueError: There is no room for it.
    """
    n_bytes = 4 * n_frames * n_columns
    if n_bytes <= IN_MEMORY:
        return np.empty((n_frames, n_columns), np.float32)
    with tempfile.TemporaryFile() as file:
        try:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up later would kill the process
                os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            raise ValueError(
                f"path: no room for {n_bytes / 1e9:.1f} GB of frames in {tempfile.gettempdir()} ({error.strerror}); "
                "set TMPDIR to a folder on a larger disk"
            ) from error
        return np.asarray(np.memmap(file, np.float32, "r+", shape=(n_frames, n_columns)))
