"""The files of the cache: how they are called, what they say of themselves, and which may go."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAGES = ("trajectories", "features", "partition", "recrossing", "macrostates", "baselines")
RECORD = "mdlm"  # where, in the metadata of a file, its record is
_STEM = rf"(?P<stem>(?P<stage>{'|'.join(STAGES)})-(?P<part>\w+)-(?P<digest>[0-9a-f]{{20}}))"
_RESULT = re.compile(rf"{_STEM}\.safetensors")
_LEFTOVER = re.compile(rf"\.?{_STEM}(\.safetensors\.\d+\.tmp|\.lock)")


@dataclass(frozen=True)
class Entry:
    """One cached result.

    Attributes:
        path: Its file.
        stage: One of `STAGES`.
        part: What made it, for example ``kmeans``.
        digest: Hash of all that decided it.
        size: In bytes.
        last_used: When a run last wrote or read it, in seconds since the epoch.
        created: When it was computed, in UTC; None where the file is damaged.
        version: Of the mdlm that computed it; None where the file is damaged.
    """

    path: Path
    stage: str
    part: str
    digest: str
    size: int
    last_used: float
    created: str | None
    version: str | None

    @property
    def is_damaged(self) -> bool:
        """Whether the file cannot be read at all; a wrong checksum shows only when a run reads it."""
        return self.version is None


@dataclass(frozen=True)
class Pruned:
    """What `prune` did, or would do.

    Attributes:
        gone: Results that were deleted.
        in_use: Unwanted results that a running process holds.
        leftovers: Temporary and lock files that were deleted.
    """

    gone: list[Entry]
    in_use: list[Entry]
    leftovers: list[Path]


def file_name(stage: str, part: str, digest: str) -> str:
    """Name of the file of a result.

    Example:
        >>> file_name("partition", "kmeans", "0123456789abcdef0123")
        'partition-kmeans-0123456789abcdef0123.safetensors'
    """
    return f"{stage}-{part}-{digest}.safetensors"


def lock_file(result: Path) -> Path:
    """What a process holds while it computes and writes a result."""
    return result.with_suffix(".lock")


def entries(directory: Path) -> list[Entry]:
    """Every result in a directory, in the order of the stages; other files are passed over.

    Raises:
        OSError: The directory is there but cannot be read.
    """
    found = []
    for path, name in _matching(directory, _RESULT):
        with suppress(FileNotFoundError):  # deleted by another process just now
            record = _record(path)
            if record is None:
                continue
            status = path.stat()
            of_file = (name["stage"], name["part"], name["digest"], status.st_size, status.st_mtime)
            found.append(Entry(path, *of_file, record.get("created"), record.get("version")))
    return sorted(found, key=lambda entry: (STAGES.index(entry.stage), entry.part, -entry.last_used))


def prune(directory: Path, unwanted: Callable[[Entry], bool], dry_run: bool = False) -> Pruned:
    """Delete unwanted results, and what killed processes left; never what a running process holds.

    Args:
        directory: The cache.
        unwanted: Which results are to go.
        dry_run: Delete nothing, only say what would go.
    """
    gone: list[Entry] = []
    in_use: list[Entry] = []
    leftovers: list[Path] = []
    abandoned = list(_matching(directory, _LEFTOVER))
    for entry in filter(unwanted, entries(directory)):
        with _held(entry.path, dry_run) as is_ours:
            if is_ours and not dry_run:
                entry.path.unlink(missing_ok=True)
        (gone if is_ours else in_use).append(entry)
    for path, name in abandoned:
        with _held(directory / f"{name['stem']}.safetensors", dry_run) as is_ours:
            if is_ours:
                leftovers.append(path)
                if not dry_run and path.suffix != ".lock":  # which goes with the holding of it
                    path.unlink(missing_ok=True)
    return Pruned(gone, in_use, leftovers)


def _matching(directory: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    if not directory.exists():
        return
    for path in sorted(directory.iterdir()):
        name = pattern.fullmatch(path.name)
        if name and path.is_file():
            yield path, name


def _record(path: Path) -> dict[str, Any] | None:
    """What a file says of itself: nothing where it is damaged, None where it is another program's."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        record = json.loads(metadata[RECORD])
    except KeyError:
        return None
    except (SafetensorError, ValueError):
        return {}
    return record if isinstance(record, dict) else None


@contextmanager
def _held(result: Path, dry_run: bool) -> Iterator[bool]:
    """Hold the lock of a result and delete it before letting go; whether that went.

    Without the lock nothing is deleted, not even where nobody seems to hold it: a run may take it in between. A
    rehearsal makes no lock.
    """
    from filelock import FileLock, Timeout

    if dry_run and not lock_file(result).exists():
        yield True
        return
    lock = FileLock(lock_file(result))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
        if not dry_run:
            with suppress(PermissionError):  # a lock that is held cannot be deleted on Windows
                lock_file(result).unlink(missing_ok=True)
    finally:
        lock.release()
