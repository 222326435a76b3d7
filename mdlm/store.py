"""The cache of finished stages: each computed once, named by the hash of what made it, checked when read."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from mdlm import __version__
from mdlm.cache import RECORD, file_name, lock_file
from mdlm.fingerprint import digest
from mdlm.packing import Arrays, pack, unpack

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """A directory of finished results, each one safetensors file.

    Attributes:
        directory: Where; created when first written to.
        trusted: Top-level modules, besides mdlm, whose dataclasses may be read from a file.
    """

    directory: Path
    trusted: frozenset[str] = frozenset()

    def path(self, stage: str, part: str, identity: Mapping[str, Any]) -> Path:
        """Where the result of ``identity`` is or will be; ``part`` is only for people."""
        return self.directory / file_name(stage, part, digest({"stage": stage, "identity": identity}))

    def result(
        self,
        stage: str,
        part: str,
        identity: Mapping[str, Any],
        compute: Callable[[], T],
        is_kept: Callable[[T], bool] = lambda result: True,
    ) -> T:
        """The stored result of this identity, computed first where it is not there or damaged.

        Processes that want the same one wait for the first to finish it. The file appears whole or not at all. A
        result that cannot be stored is returned all the same, with a warning.

        Args:
            stage: One of `mdlm.cache.STAGES`.
            part: What makes it, in one word.
            identity: Everything that decides the result, the code version among it; JSON-able.
            compute: Makes the result: anything `mdlm.packing.pack` can take apart, but not None.
            is_kept: Whether a result is worth a file.

        Raises:
            OSError: The file cannot be written.
        """
        path = self.path(stage, part, identity)
        found: T | None = self._read(path, logging.DEBUG)
        if found is not None:
            return found
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            found = self._read(path, logging.WARNING)  # another process may have finished it
            if found is not None:
                return found
            result = compute()
            if is_kept(result):
                self._write(path, result, {"stage": stage, "part": part, "identity": identity})
            return result

    def _read(self, path: Path, level: int) -> Any:  # noqa: ANN401
        """The result in a file; None where it is missing or, with a word in the log, damaged."""
        if not path.exists():
            return None
        try:
            found = self._checked(path)
        except Exception as error:  # whatever it is, it can be computed again
            log.log(level, "cache file %s is damaged (%s); it is computed again", path, error)
            return None
        with suppress(OSError):  # of another user
            os.utime(path)  # so that its age is the time since it was last used
        return found

    def _checked(self, path: Path) -> Any:  # noqa: ANN401
        """The result in a file.

        Raises:
            Exception: The content is not what was written.
        """
        from safetensors import safe_open

        with safe_open(path, framework="np", backend="pread") as file:  # a mapped file would be in memory twice
            record = json.loads((file.metadata() or {})[RECORD])
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if self.path(record["stage"], record["part"], record["identity"]) != path:
            raise ValueError("it belongs to another identity")
        if record.pop("checksum") != _checksum(arrays, record):
            raise ValueError("its checksum does not match")
        return unpack(arrays, record["result"], self.trusted)

    def _write(self, path: Path, result: Any, about: dict[str, Any]) -> None:  # noqa: ANN401
        """Write under a temporary name, then rename; leftovers of killed writers go first (the caller has the lock)."""
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        try:
            arrays, description = pack(result)
            unpack(arrays, description, self.trusted)  # what cannot be read back is not written
        except Exception as error:  # a user's class may raise anything
            log.warning("%s of %s is not cached: %s", about["stage"], about["part"], error)
            return
        created = datetime.now(UTC).isoformat(timespec="seconds")
        record = about | {"result": description, "created": created, "version": __version__}
        record |= {"checksum": _checksum(arrays, record)}
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):
            leftover.unlink(missing_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            save_file(arrays, temporary, metadata={RECORD: _text(record)})
            shutil.copymode(lock_file(path), temporary)  # readable by whom the umask says, not by its owner only
            os.replace(temporary, path)
        except SafetensorError as error:  # a full disk
            raise OSError(errno.EIO, str(error), str(path)) from error
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the right to make a result; wait, and say so, where another process makes it."""
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process is making %s; waiting for it", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _checksum(arrays: Arrays, record: Mapping[str, Any]) -> str:
    """Of everything in a file."""
    total = hashlib.blake2b(_text(record).encode(), digest_size=16)
    for name, array in sorted(arrays.items()):
        total.update(f"{name}{array.shape}{array.dtype}".encode())
        total.update(array.data)
    return total.hexdigest()


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, default=list)
