"""Distances between frames: Euclidean, or minimal RMSD of molecules after superposition."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mdlm.trajectory import FloatArray, IntArray, Trajectory

if TYPE_CHECKING:
    import mdtraj

Scale = Literal["none", "standard"]

BLOCK_FRAMES = 2**12  # frames converted at once: few enough to stay in the processor's cache


class Metric(ABC):
    """A distance between frames."""

    @abstractmethod
    def nearest(self, frames: FloatArray, centres: FloatArray) -> tuple[IntArray, FloatArray]:
        """Index of the nearest centre of each frame, of equally near ones the first, and the distance to it.

        Args:
            frames: Shape ``(n_frames, n_columns)``.
            centres: Shape ``(n_centres, n_columns)``.

        Returns:
            Two arrays of shape ``(n_frames,)``.
        """


@dataclass(frozen=True)
class Euclidean(Metric):
    """Euclidean distance, in the unit of the features, or in standard deviations where they are scaled by them.

    Attributes:
        scale: What each column is divided by, shape ``(n_columns,)``.
    """

    scale: FloatArray

    @classmethod
    def scaled(cls, train: Trajectory, scale: Scale) -> Euclidean:
        """Take features as they are, or in units of their standard deviation in training.

        A feature that is constant in training is taken as it is.
        """
        if scale == "none":
            return cls(np.ones(len(train.columns)))
        origin = train.pieces[0][0].astype(np.float64)  # near the data: nothing cancels, and a constant is exactly 0
        mean, mean_square = np.zeros_like(origin), np.zeros_like(origin)
        for piece in train.pieces:
            for block in blocks(len(piece)):
                shifted = piece[block] - origin
                mean += shifted.sum(axis=0) / train.n_frames
                mean_square += (shifted**2).sum(axis=0) / train.n_frames
        variance = mean_square - mean**2
        return cls(np.sqrt(np.where(variance > 0, variance, 1.0)))

    def apply(self, frames: FloatArray) -> FloatArray:
        """Scaled frames, in double precision and one piece of memory."""
        return np.ascontiguousarray(frames / self.scale, dtype=np.float64)

    def nearest(self, frames: FloatArray, centres: FloatArray) -> tuple[IntArray, FloatArray]:
        """See `Metric.nearest`."""
        from mdlm.partition.distance_kernels import nearest

        states, squared = np.empty(len(frames), np.int32), np.empty(len(frames))
        scaled = self.apply(centres)
        for block in blocks(len(frames)):
            nearest(self.apply(frames[block]), scaled, states[block], squared[block])
        return states, np.sqrt(squared)


@dataclass(frozen=True)
class MinimalRMSD(Metric):
    """Root-mean-square deviation of atoms after the best superposition, in nm.

    The columns of a frame are x, y and z of one atom after the other, in nm.

    Source: Theobald, Acta Cryst. A 61, 478 (2005), through mdtraj, in single precision.
    """

    def nearest(self, frames: FloatArray, centres: FloatArray) -> tuple[IntArray, FloatArray]:
        """See `Metric.nearest`."""
        import mdtraj

        states, distances = np.zeros(len(frames), np.int32), np.full(len(frames), np.inf)
        references = _centred(centres)
        for block in blocks(len(frames)):
            conformations = _centred(frames[block])
            for number in range(len(centres)):
                distance = mdtraj.rmsd(conformations, references, number, precentered=True)
                closer = distance < distances[block]
                states[block][closer] = number
                distances[block][closer] = distance[closer]
        return states, distances


def check_atoms(columns: tuple[str, ...]) -> None:
    """Raise `ValueError` unless the columns are x, y and z of at least three atoms, one after the other."""
    atoms = [column.rpartition(".")[0] for column in columns[::3]]
    expected = [f"{atom}.{axis}" for atom in atoms for axis in "xyz"]
    needed = "metric (rmsd) needs features <atom>.x, <atom>.y, <atom>.z of one atom after the other"
    for found, wanted in zip(columns, expected, strict=False):
        if found != wanted or wanted.startswith("."):
            raise ValueError(f"{needed}; {found!r} is none")
    if len(columns) != len(expected) or len(set(atoms)) < 3:
        raise ValueError(f"{needed}, at least three atoms; there are {', '.join(columns)}")


def blocks(n_frames: int) -> Iterator[slice]:
    """Slices of at most ``BLOCK_FRAMES`` that cover ``n_frames`` in order."""
    return (slice(first, first + BLOCK_FRAMES) for first in range(0, n_frames, BLOCK_FRAMES))


def _centred(frames: FloatArray) -> mdtraj.Trajectory:
    """Conformations with their centroids at the origin; their topology does not matter."""
    import mdtraj

    coordinates = np.array(frames.reshape(len(frames), -1, 3), np.float32, order="C")  # a copy: centred in place
    return mdtraj.Trajectory(coordinates, topology=None).center_coordinates()
