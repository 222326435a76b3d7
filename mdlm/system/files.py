"""Anyone's own molecular dynamics: a topology and trajectory files of any size, read in chunks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mdlm.progress import Progress, silent
from mdlm.system.base import System
from mdlm.system.clock import check_times, frame_time_of
from mdlm.system.molecules import Molecules, coordinate_columns, molecules
from mdlm.system.own_data import check_given
from mdlm.system.paths import Paths, content_of, empty_frames, files_of
from mdlm.system.readers import Source, chunks, load_topology, look
from mdlm.system.walkers import check_positive
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory

log = logging.getLogger(__name__)

HINTS = {"topology": "topology=FILE.pdb", "path": "path=FILE.xtc (or a pattern, or a list)"}
PS_PER_UNIT = {"ps": 1.0, "ns": 1000.0}


@dataclass(frozen=True, kw_only=True)
class Files(System):
    """Coordinates of selected atoms, in nm; every file is a trajectory of its own.

    Attributes:
        topology: File that names atoms and bonds, of any format that mdtraj takes a topology from; must be given.
        path: Trajectory file (xtc, dcd, trr, nc, h5, pdb), pattern, or several; must be given.
        atoms: Which atoms, in mdtraj's selection language.
        time_unit: Of every time of this system; the times in files, ps, are turned into it.
        frame_time: Time between frames, in ``time_unit``. None reads it from the files' time stamps, which must
            then rise evenly and alike in all of them; a value given here is taken instead of theirs.
        whole: Put molecules together that the edge of a periodic cell cuts, by their bonds.
    """

    topology: str | None = None
    path: Paths | None = None
    atoms: str = "not water and not element H"
    time_unit: Literal["ps", "ns"] = "ps"
    frame_time: float | None = None
    whole: bool = True

    def __post_init__(self) -> None:
        if self.frame_time is not None:
            check_positive(frame_time=self.frame_time)

    @property
    def header(self) -> Header:
        """Read from the topology and from a few frames of each file."""
        frame_time = self.frame_time or frame_time_of(self._sources) / PS_PER_UNIT[self.time_unit]
        lengths = tuple(source.n_frames for source in self._sources)
        return Header(coordinate_columns(self._topology, self._selected), lengths, frame_time, self.time_unit)

    def trajectories(self, progress: Progress = silent) -> Trajectory:
        """Read every file in chunks.

        Raises:
            ValueError: A file ends early, misses frames or holds what is not a number; it names the file.
        """
        header = self.header
        if self.whole and self._molecules.n_molecules > 1 and any(source.periodic for source in self._sources):
            log.warning(
                "system.atoms: the selection lies in %d molecules; each is made whole by itself, but from one to "
                "another distances may still jump by the edge of the periodic cell",
                self._molecules.n_molecules,
            )
        every_frame = empty_frames(sum(header.lengths), len(header.columns))
        pieces = tuple(np.split(every_frame, np.cumsum(header.lengths)[:-1]))
        done = 0
        for source, piece in zip(self._sources, pieces, strict=True):
            for n_read in self._fill(piece, source, header):
                done += n_read
                progress(done, len(every_frame), source.path.name)
        return Trajectory(pieces, header.frame_time, header.time_unit, header.columns)

    def identity(self) -> dict[str, Any]:
        """The contents of the files instead of their names."""
        topology, trajectories = self._paths
        contents = {"topology": content_of(topology), "path": [content_of(file) for file in trajectories]}
        return super().identity() | contents

    def _fill(self, piece: FloatArray, source: Source, header: Header) -> Iterator[int]:
        """Read one file, and say after each chunk how many frames it had."""
        begin = 0
        for frames in chunks(source, self._molecules.atoms):
            if self.frame_time is None and frames.times is not None:
                check_times(source, begin, frames.times, header.frame_time * PS_PER_UNIT[header.time_unit])
            _check_finite(frames.positions, begin, source)
            positions = frames.positions
            if self.whole and frames.cells is not None:
                positions = self._molecules.made_whole(positions, frames.cells)
            block = piece[begin : begin + len(positions)]
            block[:] = self._molecules.of_selected(positions).reshape(len(block), -1)
            begin += len(block)
            yield len(block)

    @cached_property
    def _paths(self) -> tuple[Path, tuple[Path, ...]]:
        check_given(vars(self), HINTS)
        assert self.topology is not None
        assert self.path is not None
        return files_of(self.topology, "topology")[0], files_of(self.path)

    @cached_property
    def _topology(self) -> Any:  # noqa: ANN401
        return load_topology(self._paths[0])

    @cached_property
    def _selected(self) -> IntArray:
        """Index of every atom that is selected."""
        try:
            selected = np.asarray(self._topology.select(self.atoms), dtype=np.int64)
        except Exception as error:  # the parser and what it makes of a selection raise all kinds
            reason = str(error).partition("\n")[0]
            raise ValueError(f"atoms ({self.atoms}) is no selection in mdtraj's language: {reason}") from error
        if not len(selected):
            raise ValueError(
                f"atoms ({self.atoms}) selects none of the {self._topology.n_atoms} atoms of {self.topology}"
            )
        return selected

    @cached_property
    def _molecules(self) -> Molecules:
        return molecules(self._topology, self._selected)

    @cached_property
    def _sources(self) -> tuple[Source, ...]:
        """Every file, once it is known to fit the topology."""
        n_atoms = self._topology.n_atoms
        sources = []
        for file in self._paths[1]:
            source = look(file)
            if source.n_atoms != n_atoms:
                raise ValueError(f"path: {file} has {source.n_atoms} atoms and topology {self.topology} has {n_atoms}")
            sources.append(source)
        return tuple(sources)


def _check_finite(positions: FloatArray, begin: int, source: Source) -> None:
    if np.isfinite(positions).all():
        return
    frame, atom, axis = np.argwhere(~np.isfinite(positions))[0]
    raise ValueError(
        f"path: {source.path} holds {positions[frame, atom, axis]} at frame {begin + frame}; "
        "every coordinate of the selected atoms must be finite"
    )
