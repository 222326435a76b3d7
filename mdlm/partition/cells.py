"""Cells of equal bins, of which those that training visits are the states: what every binned partition shares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from mdlm.partition.base import Discretiser, chunks
from mdlm.trajectory import FloatArray, IntArray, Trajectory

Value = TypeVar("Value", int, float, float | None)


@dataclass(frozen=True)
class Bins:
    """Equal bins along each axis, numbered through as one grid of cells.

    Attributes:
        low: Left edge of the first bin, shape ``(n_columns,)``.
        width: Bin widths, shape ``(n_columns,)``.
        shape: Number of bins of each column.
        periodic: Whether the first bin follows the last one; else the outermost bins take what lies outside.
    """

    low: FloatArray
    width: FloatArray
    shape: tuple[int, ...]
    periodic: bool = False

    def cells(self, frames: FloatArray) -> IntArray:
        """Cell of each frame."""
        position = np.floor((frames - self.low) / self.width)
        n_bins = np.array(self.shape)
        bins = np.mod(position, n_bins) if self.periodic else np.clip(position, 0, n_bins - 1)
        return np.asarray(np.ravel_multi_index(tuple(bins.astype(np.int64).T), self.shape))

    def centres(self, cells: IntArray) -> FloatArray:
        """Middle of each cell, shape ``(n_cells, n_columns)``."""
        return np.asarray(self.low + self._offsets(cells))

    def nearest(self, cells: IntArray, among: IntArray) -> IntArray:
        """For each cell, which one of ``among`` has the nearest centre, in the unit of the features."""
        from scipy.spatial import cKDTree

        around = self.width * self.shape if self.periodic else None
        _, nearest = cKDTree(self._offsets(among), boxsize=around).query(self._offsets(cells))
        return np.asarray(nearest)

    def _offsets(self, cells: IntArray) -> FloatArray:
        bins = np.stack(np.unravel_index(cells, self.shape), axis=1)
        return np.asarray((bins + 0.5) * self.width)


@dataclass(frozen=True)
class VisitedCells(Discretiser):
    """The state is the cell; of a cell that training never visited, the nearest one that it did.

    Attributes:
        bins: The grid.
        visited: Cells that training visited, ascending; state i is the i-th of them.
    """

    bins: Bins
    visited: IntArray

    @classmethod
    def of(cls, train: Trajectory, bins: Bins) -> Self:
        """Make a state, named by its centre, of every cell that a training frame lies in.

        Raises:
            ValueError: All training frames lie in one cell.
        """
        found = [np.unique(bins.cells(piece[chunk])) for piece in train.pieces for chunk in chunks(len(piece))]
        visited = np.unique(np.concatenate(found))
        names = tuple(
            ", ".join(f"{column} {value:g}" for column, value in zip(train.columns, centre, strict=True))
            for centre in bins.centres(visited)
        )
        if len(visited) < 2:
            n_bins = " x ".join(map(str, bins.shape))
            raise ValueError(f"n_bins ({n_bins}) leaves only one state, {names[0]}; take finer bins")
        return cls(train.columns, names, bins, visited)

    def states(self, frames: FloatArray) -> IntArray:
        """State of each frame."""
        cells = self.bins.cells(frames)
        states = np.minimum(np.searchsorted(self.visited, cells), len(self.visited) - 1)
        strange = self.visited[states] != cells
        if strange.any():
            unseen, where = np.unique(cells[strange], return_inverse=True)
            states[strange] = self.bins.nearest(unseen, self.visited)[where]
        return states


def check_n_bins(n_bins: int | tuple[int, ...]) -> None:
    """Raise `ValueError` unless there is a bin along every feature, and more than one of them."""
    if min(n_bins if isinstance(n_bins, tuple) else (n_bins,), default=0) < 1:
        raise ValueError(f"n_bins ({n_bins}) must be at least 1 along every feature")
    if n_bins == 1:
        raise ValueError(f"n_bins ({n_bins}) must make at least 2 cells")


def shape_of(n_bins: int | tuple[int, ...], n_columns: int) -> tuple[int, ...]:
    """Number of bins along each feature.

    Raises:
        ValueError: ``n_bins`` does not fit the number of features, or the cells cannot be counted.
    """
    shape = per_column("n_bins", n_bins, n_columns)
    if not 2 <= math.prod(shape) < 2**62:
        raise ValueError(f"n_bins ({n_bins}) makes {math.prod(shape):.3g} cells; 2 to 4e18 are allowed")
    return shape


def per_column(name: str, value: Value | tuple[Value, ...], n_columns: int) -> tuple[Value, ...]:
    """A field that is one value for all features, or one per feature, as the latter.

    Example:
        >>> per_column("low", 0.5, 2)
        (0.5, 0.5)
    """
    values = value if isinstance(value, tuple) else (value,) * n_columns
    if len(values) != n_columns:
        raise ValueError(f"{name} ({value}) has {len(values)} values; give one, or one per feature ({n_columns})")
    return values
