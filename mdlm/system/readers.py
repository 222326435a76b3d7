"""Trajectory files through mdtraj's own readers: coordinates in nm, times in ps, in chunks of selected atoms."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from mdlm.system.cut_off import check_not_cut_off
from mdlm.trajectory import FloatArray, IntArray

T = TypeVar("T")

READ_BYTES = 2**20  # of the coordinates that are kept, at a time: small enough for a processor's cache
WHOLE_FRAME_BYTES = 2**25  # of all atoms, at a time: some formats are read whole before atoms are chosen
ANGSTROM = np.float32(0.1)  # in nm


class Frames(NamedTuple):
    """Some frames of one file."""

    positions: FloatArray
    """Shape ``(n_frames, n_atoms, 3)``, nm."""
    times: FloatArray | None
    """Shape ``(n_frames,)``, ps; None where the format has none."""
    cells: FloatArray | None
    """The three vectors of the periodic cell as rows, shape ``(n_frames, 3, 3)``, nm; None without one."""


@dataclass(frozen=True)
class Source:
    """What is known of a file without reading it.

    Attributes:
        path: Of the file.
        n_frames: In it.
        n_atoms: In each frame.
        periodic: Whether the first frame has a periodic cell.
        stamps: Times of the first, second and last frame, ps; None where the format has none.
    """

    path: Path
    n_frames: int
    n_atoms: int
    periodic: bool
    stamps: tuple[float, float, float] | None


def look(path: Path) -> Source:
    """Read the first two frames and the last one.

    Raises:
        ValueError: The format is unknown, or the file is damaged, cut off or has fewer than two frames.
    """
    with _opened(path) as file:
        n_frames = _asked(path, lambda: len(file))
        if n_frames < 2:
            raise ValueError(f"path: {path} holds {n_frames} frames; a trajectory needs at least two")
        first = _asked(path, lambda: _read(path, file, 2))
        _asked(path, lambda: file.seek(n_frames - 1))
        last = _asked(path, lambda: _read(path, file, 1))
        last_begins = int(file.offsets[-1]) if path.suffix.lower() in (".xtc", ".trr") else None
    check_not_cut_off(path, n_frames, last_begins)
    stamps = None
    if first.times is not None and last.times is not None:
        stamps = (float(first.times[0]), float(first.times[1]), float(last.times[-1]))
    return Source(path, n_frames, first.positions.shape[1], first.cells is not None, stamps)


def chunks(source: Source, atoms: IntArray) -> Iterator[Frames]:
    """All frames of a file, some at a time.

    Args:
        source: The file.
        atoms: Which atoms, by their index in the file.

    Raises:
        ValueError: The file is damaged, or has fewer frames than it had when it was looked at.
    """
    size = max(1, min(READ_BYTES // (12 * len(atoms)), WHOLE_FRAME_BYTES // (12 * source.n_atoms)))
    done = 0
    with _opened(source.path) as file:
        while done < source.n_frames:
            frames = _asked(source.path, partial(_read, source.path, file, min(size, source.n_frames - done), atoms))
            if not len(frames.positions):
                raise ValueError(f"path: {source.path} ends after {done} of its {source.n_frames} frames")
            done += len(frames.positions)
            yield frames


def load_topology(path: Path) -> Any:  # noqa: ANN401
    """An mdtraj topology; of one without bonds, the standard residues get theirs.

    Raises:
        ValueError: The file holds none that mdtraj can read.
    """
    import mdtraj

    if path.suffix.lower() in (".h5", ".hdf5"):
        _check_pytables(path, "topology")
    topology = _asked(path, lambda: mdtraj.load_topology(str(path)), "topology")
    if not topology.n_bonds:
        topology.create_standard_bonds()
    return topology


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as one of mdtraj's trajectory files."""
    import mdtraj

    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise ValueError(f"path ({path}) must be of a format that is read: {', '.join(FORMATS)}")
    if kind == ".h5":
        _check_pytables(path, "path")
    file = _asked(path, lambda: _PdbFile(path) if kind == ".pdb" else mdtraj.open(str(path)))
    try:
        yield file
    finally:
        _asked(path, file.close)


class _PdbFile:
    """The models of a pdb file, which mdtraj reads all at once."""

    def __init__(self, path: Path) -> None:
        import mdtraj

        self.models = mdtraj.load_pdb(str(path))
        self.next = 0

    def __len__(self) -> int:
        return len(self.models)

    def seek(self, frame: int) -> None:
        self.next = frame

    def read(self, n_frames: int, atom_indices: IntArray | None = None) -> Frames:
        begin, self.next = self.next, self.next + n_frames
        positions = self.models.xyz[begin : self.next]
        cells = self.models.unitcell_vectors
        chosen = positions if atom_indices is None else positions[:, atom_indices]
        return Frames(chosen, None, None if cells is None else cells[begin : self.next])

    def close(self) -> None:
        pass


def _of_gromacs(positions: FloatArray, times: FloatArray, _steps: object, cells: FloatArray, *_: object) -> Frames:
    return Frames(positions, times, cells)


def _of_dcd(positions: FloatArray, lengths: FloatArray, angles: FloatArray) -> Frames:
    return Frames(positions * ANGSTROM, None, _cells(lengths, angles, ANGSTROM))


def _of_amber(positions: FloatArray, times: FloatArray, lengths: FloatArray, angles: FloatArray) -> Frames:
    return Frames(positions * ANGSTROM, times, _cells(lengths, angles, ANGSTROM))


def _of_hdf5(positions: FloatArray, times: FloatArray, lengths: FloatArray, angles: FloatArray, *_: object) -> Frames:
    return Frames(positions, times, _cells(lengths, angles, np.float32(1)))


FORMATS: dict[str, Callable[..., Frames]] = {
    ".xtc": _of_gromacs,
    ".trr": _of_gromacs,
    ".dcd": _of_dcd,
    ".nc": _of_amber,
    ".h5": _of_hdf5,
    ".pdb": Frames,
}
"""What makes frames of what mdtraj's reader of a format gives."""


def _read(path: Path, file: Any, n_frames: int, atoms: IntArray | None = None) -> Frames:  # noqa: ANN401
    """The next frames, in nm and ps; where cells are all zero there is none."""
    frames = FORMATS[path.suffix.lower()](*file.read(n_frames, atom_indices=atoms))
    return frames if frames.cells is None or frames.cells.any() else frames._replace(cells=None)


def _cells(lengths: FloatArray | None, angles: FloatArray | None, unit: np.float32) -> FloatArray | None:
    from mdtraj.utils import lengths_and_angles_to_box_vectors

    if lengths is None or angles is None or not (lengths > 0).all():
        return None
    edges = (lengths * unit).T
    return np.stack(lengths_and_angles_to_box_vectors(*edges, *angles.T), axis=1).astype(np.float32)


def _check_pytables(path: Path, field: str) -> None:
    if find_spec("tables") is None:
        raise ValueError(f"{field} ({path}): mdtraj reads HDF5 through PyTables; pip install 'mdlm-kinetics[hdf5]'")


def _asked(path: Path, question: Callable[[], T], field: str = "path") -> T:
    """The answer of a reader; whatever it raises is the file's fault, and what it prints is for nobody to read."""
    with warnings.catch_warnings(), _silence():
        warnings.simplefilter("ignore")
        try:
            return question()
        except MemoryError:
            raise
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
        gc.collect()  # what the reader left open is closed now, while nobody hears it complain
    raise ValueError(f"{field}: {path} cannot be read; it is damaged, cut off or no such file: {reason}")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what libraries in C print away from the terminal."""
    c_library = ctypes.CDLL(None)
    sys.stdout.flush()
    sys.stderr.flush()
    c_library.fflush(None)
    kept = [(number, os.dup(number)) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number, _ in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        c_library.fflush(None)
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
