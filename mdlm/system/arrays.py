"""Anyone's own features: arrays in npy or npz files, with a stated clock."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from mdlm.progress import Progress, silent
from mdlm.system.own_data import OwnData
from mdlm.system.paths import empty_frames
from mdlm.trajectory import FloatArray, Header, Trajectory

CHUNK_FRAMES = 100_000  # checked and reported at a time


@dataclass(frozen=True)
class Entry:
    """One array of a file.

    Attributes:
        path: Of the file.
        name: Of the array in an npz file; None where the file holds one array.
        shape: Of the array.
        kind: NumPy's letter for the kind of its values.
    """

    path: Path
    name: str | None
    shape: tuple[int, ...]
    kind: str

    def __str__(self) -> str:
        return f"{self.path}" if self.name is None else f"{self.path}[{self.name}]"

    @property
    def n_columns(self) -> int:
        """A one-dimensional array is one column."""
        return 1 if len(self.shape) == 1 else self.shape[-1]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Frames of each trajectory; only a three-dimensional array holds several."""
        return (self.shape[1],) * self.shape[0] if len(self.shape) == 3 else self.shape[:1]

    def read(self) -> FloatArray:
        """All its values; those of a npy file stay on the disk until they are looked at."""
        try:
            if self.name is None:
                return np.asarray(np.lib.format.open_memmap(self.path, mode="r"))
            with self.path.open("rb") as file:
                return np.asarray(np.load(file, allow_pickle=False)[self.name])
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"path: {self} cannot be read: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Arrays(OwnData):
    """Feature trajectories from npy and npz files.

    A two-dimensional array is one trajectory, frames along its first axis; a one-dimensional array is one of a single
    feature; a three-dimensional array holds several of the same length along its first axis. An npz file holds one
    such array per trajectory, in its own order.

    Attributes:
        columns: Name of each feature; None means f1, f2, ...
    """

    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns ({', '.join(self.columns)}) must name each feature once")

    @property
    def header(self) -> Header:
        """Read from the heads of the files."""
        frame_time, time_unit = self.clock
        lengths = tuple(length for entry in self._entries for length in entry.lengths)
        return Header(self._names(), lengths, frame_time, time_unit)

    def trajectories(self, progress: Progress = silent) -> Trajectory:
        """Read every array.

        Raises:
            ValueError: A value is not finite; it names the array and where.
        """
        header = self.header
        frames = empty_frames(sum(header.lengths), len(header.columns))
        done = 0
        for entry in self._entries:
            array = entry.read().reshape(-1, entry.n_columns)
            for begin in range(0, len(array), CHUNK_FRAMES):
                chunk = array[begin : begin + CHUNK_FRAMES]
                block = frames[done : done + len(chunk)]
                block[:] = chunk
                _check_finite(block, entry, begin, header.columns)
                done += len(block)
                progress(done, len(frames), entry.path.name)
        pieces = tuple(np.split(frames, np.cumsum(header.lengths)[:-1]))
        return Trajectory(pieces, header.frame_time, header.time_unit, header.columns)

    @cached_property
    def _entries(self) -> tuple[Entry, ...]:
        """Every array, once all are known to go together."""
        entries = tuple(entry for file in self.files for entry in _entries_of(file))
        if not entries:
            raise ValueError(f"path ({', '.join(map(str, self.files))}) holds no array")
        for entry in entries:
            if entry.kind not in "fiu":
                raise ValueError(f"path: {entry} must hold real numbers")
            if not 1 <= len(entry.shape) <= 3 or 0 in entry.shape:
                raise ValueError(
                    f"path: {entry} has shape {entry.shape}; a trajectory is (n_frames, n_features) or (n_frames,), "
                    "several are (n_trajectories, n_frames, n_features)"
                )
            if entry.n_columns != entries[0].n_columns:
                raise ValueError(
                    f"path: {entry} has {entry.n_columns} features and {entries[0]} has {entries[0].n_columns}; "
                    "all trajectories must have the same"
                )
        return entries

    def _names(self) -> tuple[str, ...]:
        first = self._entries[0]
        names = self.columns or tuple(f"f{number + 1}" for number in range(first.n_columns))
        if len(names) != first.n_columns:
            raise ValueError(f"columns ({', '.join(names)}) must be {first.n_columns} names: {first} has so many")
        return names


def _check_finite(block: FloatArray, entry: Entry, begin: int, columns: tuple[str, ...]) -> None:
    if np.isfinite(block).all():
        return
    frame, column = np.argwhere(~np.isfinite(block))[0]
    where = f"at frame {begin + frame}, column {columns[column]}"
    raise ValueError(f"path: {entry} holds {block[frame, column]} {where}; every value must be finite")


def _entries_of(path: Path) -> Iterator[Entry]:
    """The arrays of one file, by their heads alone."""
    try:
        if path.suffix == ".npy":
            array = np.lib.format.open_memmap(path, mode="r")
            yield Entry(path, None, array.shape, array.dtype.kind)
        elif path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    with archive.open(name) as file:
                        yield Entry(path, name.removesuffix(".npy"), *_head(file))
        else:
            raise ValueError("its name must end in .npy or .npz")
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"path: {path} cannot be read: {error}") from error


def _head(file: IO[bytes]) -> tuple[tuple[int, ...], str]:
    """Shape and kind of the array that a file begins with."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype.kind
