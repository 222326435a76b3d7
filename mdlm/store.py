"""The cache of finished stages: each computed once, named by the hash of what made it, checked when read."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdlm.fingerprint import digest
from mdlm.trajectory import FloatArray, Trajectory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Store:
    """A directory of finished trajectories.

    Attributes:
        directory: Where; created when first written to.
    """

    directory: Path

    def path(self, name: str, identity: Mapping[str, Any]) -> Path:
        """Where the result of ``identity`` is or will be; ``name`` is only for people."""
        return self.directory / f"{name}-{digest(identity)}.safetensors"

    def trajectory(self, name: str, identity: Mapping[str, Any], compute: Callable[[], Trajectory]) -> Trajectory:
        """The stored trajectory of this identity, computed first where it is not there or damaged.

        Processes that want the same one wait for the first to finish it. The file appears whole or not at all.

        Args:
            name: Readable first part of the file name.
            identity: Everything that decides the result, the code version among it; JSON-able.
            compute: Makes the trajectory.
        """
        from filelock import FileLock, Timeout

        path = self.path(name, identity)
        found = self._read(path, identity)
        if found is not None:
            return found
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("another process is making %s; waiting for it", path.name)
            lock.acquire()
        try:
            found = self._read(path, identity)  # the other process may have finished it
            if found is None:
                found = compute()
                _write(path, found, identity)
            return found
        finally:
            lock.release()

    def _read(self, path: Path, identity: Mapping[str, Any]) -> Trajectory | None:
        """The trajectory in a file, or None (with a warning) where it is missing or damaged."""
        if not path.exists():
            return None
        try:
            return _read(path, digest(identity))
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("cache file %s is damaged (%s); it is computed again", path, error)
            return None


def _write(path: Path, trajectory: Trajectory, identity: Mapping[str, Any]) -> None:
    """Write under a temporary name, then rename; leftovers of killed writers go first (the caller has the lock)."""
    from safetensors.numpy import save_file

    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    description = {
        "columns": trajectory.columns,
        "frame_time": trajectory.frame_time,
        "time_unit": trajectory.time_unit,
        "checksum": _checksum(trajectory.pieces),
        "identity": identity,
    }
    arrays = {f"{number:06d}": np.ascontiguousarray(piece) for number, piece in enumerate(trajectory.pieces)}
    try:
        save_file(arrays, temporary, metadata={"description": json.dumps(description, default=list)})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, identity_digest: str) -> Trajectory:
    """Read and check a file.

    Raises:
        ValueError: The content is not what was written.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            description = json.loads(file.metadata()["description"])
            pieces = tuple(file.get_tensor(name) for name in sorted(file.keys()))
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    if digest(description["identity"]) != identity_digest:
        raise ValueError("it belongs to another identity")
    if _checksum(pieces) != description["checksum"]:
        raise ValueError("its checksum does not match")
    return Trajectory(pieces, description["frame_time"], description["time_unit"], tuple(description["columns"]))


def _checksum(pieces: tuple[FloatArray, ...]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        total.update(f"{piece.shape}{piece.dtype}".encode())
        total.update(np.ascontiguousarray(piece).data)
    return total.hexdigest()
