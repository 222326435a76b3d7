"""Alanine dipeptide in explicit water, the set that the field compares its methods on: torsions of 3 x 250 ns."""

from __future__ import annotations

import hashlib
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdlm.data import ALANINE_DIPEPTIDE, data_directory, published
from mdlm.progress import Progress, bar, silent
from mdlm.system.base import System
from mdlm.trajectory import Header, Trajectory

COLUMNS = ("phi", "psi")
FRAME_TIME = 1.0  # ps


@dataclass(frozen=True, kw_only=True)
class AlanineDipeptideMdshare(System):
    """Backbone torsions phi and psi in radians, 1 ps per frame, from the mdshare collection of FU Berlin.

    There is no truth independent of the data. On a grid of 36 x 36 bins of the two angles, at a lag of 10 ps, the
    slow timescales of all three trajectories together are 1438, 67 and 36 ps.

    Attributes:
        path: A file to use as it is: npz, one array of shape ``(n_frames, 2)`` per trajectory. None: the published
            file, from the data directory, fetched into it where it is not there.

    Source: Nüske et al., J. Chem. Phys. 146, 094104 (2017).
    """

    path: Path | None = None

    @property
    def header(self) -> Header:
        """Read off the file without its arrays; fetches the published file where it is not there."""
        return Header(COLUMNS, _lengths(self._file()), FRAME_TIME, "ps")

    def trajectories(self, progress: Progress = silent) -> Trajectory:
        """Read all trajectories.

        Raises:
            ValueError: An array has the wrong shape or holds what is no angle in radians.
        """
        path = self._file(progress)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                pieces = tuple(arrays[name].astype(np.float32) for name in arrays.files)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"path ({path}) cannot be read: {error}") from error
        for number, piece in enumerate(pieces):
            largest = np.nanmax(np.abs(piece))
            if largest > np.float32(math.pi):
                raise ValueError(f"path ({path}): trajectory {number} holds {largest:g}; angles lie in [-pi, pi]")
        return Trajectory(pieces, FRAME_TIME, "ps", columns=COLUMNS).check()

    def identity(self) -> dict[str, Any]:
        """The content of the file, wherever it lies."""
        with self._file().open("rb") as opened:
            return {"sha256": hashlib.file_digest(opened, "sha256").hexdigest()}

    def _file(self, progress: Progress | None = None) -> Path:
        """Where the file lies, once it is there; without ``progress``, a fetch shows a bar of its own."""
        if self.path is not None:
            path = self.path.expanduser()
            if not path.is_file():
                raise ValueError(f"path ({path}) must be an existing file, or null for the published one")
            return path
        source = ALANINE_DIPEPTIDE
        if progress is None and not (data_directory() / source.file_name).exists():
            with bar(f"fetching {source.name}") as shown:
                return self._file(shown)
        return published(source.file_name, source.url, source.known_hash, progress or silent)


def _lengths(path: Path) -> tuple[int, ...]:
    """Frames of each trajectory, from the headers of the arrays.

    Raises:
        ValueError: It is no npz file, or an array has another shape than ``(n_frames, 2)``.
    """
    lengths = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as array:
                    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                    shape, _, kind = read[np.lib.format.read_magic(array)](array)
                if len(shape) != 2 or shape[1] != len(COLUMNS) or not shape[0] or kind.kind != "f":
                    raise ValueError(f"{name} is {kind} of shape {shape}, not floating point of shape (n_frames, 2)")
                lengths.append(shape[0])
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"path ({path}) must be an npz file of phi and psi: {error}") from error
    if not lengths:
        raise ValueError(f"path ({path}) holds no trajectory")
    return tuple(lengths)
