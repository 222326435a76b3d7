"""Anyone's own state sequences: npy, npz or text files, with a stated clock."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mdlm.progress import Progress, silent
from mdlm.system.own_data import OwnData
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory

log = logging.getLogger(__name__)

UNASSIGNED = -1
WHOLE_NUMBER = re.compile(r"-?\d{1,18}")  # of int64


@dataclass(frozen=True, kw_only=True)
class States(OwnData):
    """Ready state sequences.

    A npz file holds one array per trajectory, a npy file one trajectory, or several of one length as its rows; a text
    file is one trajectory, one whole number per line, with comments after ``#``. A negative label (a frame in no
    state), a nan and an empty line between numbers are gaps: a trajectory ends there, and another begins after it.

    Labels are numbered anew, in their order, where they are not 0, 1, 2 ... without a hole.
    """

    @property
    def header(self) -> Header:
        """One column, the state index."""
        return Header(("state",), tuple(map(len, self._pieces)), *self.clock)

    def trajectories(self, progress: Progress = silent) -> Trajectory:
        """The sequences as trajectories of one column."""
        pieces = tuple(piece[:, None].astype(np.float32) for piece in self._pieces)
        n_frames = sum(map(len, pieces))
        progress(n_frames, n_frames)
        return Trajectory(pieces, *self.clock, columns=("state",))

    @cached_property
    def _pieces(self) -> tuple[IntArray, ...]:
        """Every unbroken sequence of at least two frames, labels numbered anew where they must be."""
        pieces = unbroken_sequences(self.files, "path", "system.path")
        if not pieces:
            raise ValueError("path holds no two frames in a row that are in a state; there is nothing to learn")
        return _numbered(pieces)


def unbroken_sequences(files: Iterable[Path], field: str, field_in_log: str) -> list[IntArray]:
    """Every unbroken sequence of at least two frames, with the labels of the files; a gap ends one.

    Args:
        files: npy, npz or text; see `States`.
        field: What the files are called in errors.
        field_in_log: What they are called in the warning that says how many single frames are left out.

    Raises:
        ValueError: A file cannot be read, or holds other things than labels.
    """
    sequences = [sequence for file in files for sequence in _sequences(file, field)]
    unbroken = [part for sequence in sequences for part in _unbroken(sequence)]
    pieces = [part for part in unbroken if len(part) > 1]
    if len(pieces) < len(unbroken):
        log.warning(
            "%s: %d of %d unbroken sequences are a single frame and are left out",
            field_in_log,
            len(unbroken) - len(pieces),
            len(unbroken),
        )
    return pieces


def _numbered(pieces: list[IntArray]) -> tuple[IntArray, ...]:
    """Labels 0, 1, 2 ...; a warning says which was which where they are not so already."""
    labels = np.unique(np.concatenate([np.unique(piece) for piece in pieces]))
    if len(labels) < 2:
        raise ValueError(f"path holds no other state than {labels[0]}; at least two are needed")
    if labels[-1] == len(labels) - 1:
        return tuple(pieces)
    shown = ", ".join(f"{label} is {number}" for number, label in enumerate(labels[:12]))
    log.warning(
        "system.path: states are numbered anew, for some labels are absent: %s%s", shown, ", ..." * (len(labels) > 12)
    )
    return tuple(np.searchsorted(labels, piece) for piece in pieces)


def _unbroken(sequence: IntArray) -> Iterator[IntArray]:
    """The parts between gaps.

    Example:
        >>> [part.tolist() for part in _unbroken(np.array([-1, 0, 0, -1, -2, 1]))]
        [[0, 0], [1]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sequence >= 0, [False]]).astype(np.int8)))
    for begin, end in edges.reshape(-1, 2):
        yield sequence[begin:end]


def _sequences(path: Path, field: str) -> Iterator[IntArray]:
    """Every trajectory of one file, gaps as negative labels."""
    if path.suffix not in (".npy", ".npz"):
        yield _of_text(path, field)
        return
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            single = isinstance(loaded, np.ndarray)
            arrays = {str(path): loaded} if single else {f"{path}[{name}]": loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{field}: {path} cannot be read: {error}") from error
    for name, array in arrays.items():
        if array.ndim not in (1, 2):
            raise ValueError(
                f"{field}: {name} has shape {array.shape}; a sequence is (n_frames,), several are "
                "(n_sequences, n_frames)"
            )
        rows = array.reshape(1, -1) if array.ndim == 1 or array.shape[1] == 1 else array
        yield from (_labels(row, name, field) for row in rows)


def _labels(values: FloatArray | IntArray, name: str, field: str) -> IntArray:
    """Whole numbers of an array."""
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{field}: {name} holds {values.dtype}; states must be whole numbers")
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), UNASSIGNED, values)
    wrong = (values != np.floor(values)) | np.isinf(values)
    if wrong.any():
        frame = int(wrong.argmax())
        raise ValueError(f"{field}: {name} holds {values[frame]} at frame {frame}; states must be whole numbers")
    return values.astype(np.int64)


def _of_text(path: Path, field: str) -> IntArray:
    """One label per line; an empty line is a gap."""
    labels = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                word = line.partition("#")[0].strip()
                if WHOLE_NUMBER.fullmatch(word):
                    labels.append(int(word))
                elif word:
                    raise ValueError(
                        f"{field}: {path}, line {number}: {word!r} is no whole number; give one state per line"
                    )
                elif not line.strip():
                    labels.append(UNASSIGNED)
    except UnicodeDecodeError:
        raise ValueError(f"{field}: {path} must be a .npy, .npz or text file") from None
    return np.array(labels, dtype=np.int64)
