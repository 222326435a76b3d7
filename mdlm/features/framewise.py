"""Features that are computed frame by frame, in chunks, so that memory does not grow with a trajectory's length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mdlm.features.base import FittedFeatures
from mdlm.trajectory import FloatArray, Trajectory

CHUNK_VALUES = 2**22  # of a temporary array: 32 MB in double precision
CHUNK_FRAMES = 2**16  # however narrow the features are


@dataclass(frozen=True)
class Framewise(FittedFeatures):
    """Fitted features whose value in a frame depends on that frame alone.

    Attributes:
        inputs: Columns of the trajectories they were fitted on.
        columns: Columns of what they yield.
    """

    inputs: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def width(self) -> int:
        """Values of the widest temporary array per frame; it decides how many frames make a chunk."""
        return max(len(self.inputs), len(self.columns))

    @abstractmethod
    def describe(self, chunk: Trajectory) -> FloatArray:
        """Features of a trajectory of one short piece, shape ``(n_frames, n_columns)``."""

    def transform(self, trajectory: Trajectory) -> Trajectory:
        """Describe every frame in single precision; pieces and clock stay as they are.

        Raises:
            ValueError: The columns are not those the features were fitted on.
        """
        if trajectory.columns != self.inputs:
            fitted, given = some(self.inputs), some(trajectory.columns)
            raise ValueError(f"columns: the features were fitted on {fitted}; the trajectory has {given}")
        pieces = tuple(self._piece(trajectory, piece) for piece in trajectory.pieces)
        return replace(trajectory, pieces=pieces, columns=self.columns)

    def _piece(self, trajectory: Trajectory, piece: FloatArray) -> FloatArray:
        described = np.empty((len(piece), len(self.columns)), np.float32)
        n_rows = frames_per_chunk(self.width)
        for first in range(0, len(piece), n_rows):
            rows = slice(first, first + n_rows)
            described[rows] = self.describe(replace(trajectory, pieces=(piece[rows],)))
        return described


def described_chunks(fitted: FittedFeatures, trajectory: Trajectory, width: int) -> Iterator[FloatArray]:
    """Described frames of each piece in turn, in double precision, without ever describing a whole piece.

    Args:
        fitted: What describes them.
        trajectory: Its pieces.
        width: Number of described columns.
    """
    n_rows = frames_per_chunk(width)
    for piece in trajectory.pieces:
        for first in range(0, len(piece), n_rows):
            yield _described(fitted, trajectory, piece[first : first + n_rows])


def lagged_chunks(
    fitted: FittedFeatures, trajectory: Trajectory, width: int, lag: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Described frames as in `described_chunks`, each time with those that come ``lag`` frames later in their piece.

    Every pair of frames of a piece that are ``lag`` apart comes once, and no pair from two pieces; a piece of ``lag``
    frames or fewer gives nothing. However long the lag, no more than about two chunks are held.

    Args:
        fitted: What describes them.
        trajectory: Its pieces.
        width: Number of described columns.
        lag: Frames, at least 1.
    """
    n_rows = frames_per_chunk(width)
    for piece in trajectory.pieces:
        n_pairs = len(piece) - lag
        for first in range(0, n_pairs, n_rows):
            last = min(first + n_rows, n_pairs)
            if lag < last - first:  # both overlap: what is shared is described once
                chunk = _described(fitted, trajectory, piece[first : last + lag])
                yield chunk[:-lag], chunk[lag:]
            else:
                now, later = piece[first:last], piece[first + lag : last + lag]
                yield _described(fitted, trajectory, now), _described(fitted, trajectory, later)


def _described(fitted: FittedFeatures, trajectory: Trajectory, frames: FloatArray) -> FloatArray:
    return fitted.transform(replace(trajectory, pieces=(frames,))).pieces[0].astype(np.float64)


def frames_per_chunk(width: int) -> int:
    """Frames of ``width`` values each that may be worked on at a time.

    Example:
        >>> frames_per_chunk(2), frames_per_chunk(561), frames_per_chunk(10**8)
        (65536, 7476, 1)
    """
    return min(CHUNK_FRAMES, max(1, CHUNK_VALUES // width))


def is_constant(mean: FloatArray, deviation: FloatArray) -> NDArray[np.bool_]:
    """Which columns do not vary: deviations within the rounding of single precision are none.

    Example:
        >>> is_constant(np.array([0.0, 1e6, 1e6]), np.array([0.0, 0.01, 1.0])).tolist()
        [True, True, False]
    """
    return np.asarray(deviation <= np.finfo(np.float32).eps * np.abs(mean))


def some(names: tuple[str, ...], n_shown: int = 6) -> str:
    """Names for an error of one line, however many there are.

    Example:
        >>> some(("x", "y")), some(("a", "b", "c"), n_shown=1), some(())
        ('x, y', 'a and 2 more', 'none')
    """
    more = f" and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return f"{', '.join(names[:n_shown]) or 'none'}{more}"
