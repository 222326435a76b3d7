"""Equal bins along every feature; the cells that training visits are the states."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mdlm.partition.base import Discretiser, Partition, chunks
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Bins:
    """Equal bins along each axis, numbered through as one grid of cells.

    Attributes:
        low: Left edge of the first bin, shape ``(n_columns,)``.
        width: Bin widths, shape ``(n_columns,)``.
        shape: Number of bins of each column.
    """

    low: FloatArray
    width: FloatArray
    shape: tuple[int, ...]

    def cells(self, frames: FloatArray) -> IntArray:
        """Cell of each frame; what lies outside belongs to the outermost bins."""
        position = np.floor((frames - self.low) / self.width)
        bins = np.clip(position, 0, np.array(self.shape) - 1).astype(np.int64)
        return np.asarray(np.ravel_multi_index(tuple(bins.T), self.shape))

    def centres(self, cells: IntArray) -> FloatArray:
        """Middle of each cell, shape ``(n_cells, n_columns)``."""
        bins = np.stack(np.unravel_index(cells, self.shape), axis=1)
        return np.asarray(self.low + (bins + 0.5) * self.width)


@dataclass(frozen=True)
class GridCells(Discretiser):
    """The state is the cell; of a cell that training never visited, the nearest one that it did.

    Attributes:
        bins: The grid.
        visited: Cells that training visited, ascending; state i is the i-th of them.
    """

    bins: Bins
    visited: IntArray

    def states(self, frames: FloatArray) -> IntArray:
        """State of each frame."""
        cells = self.bins.cells(frames)
        states = np.minimum(np.searchsorted(self.visited, cells), len(self.visited) - 1)
        strange = self.visited[states] != cells
        if strange.any():
            states[strange] = self._nearest(cells[strange])
        return states

    def _nearest(self, cells: IntArray) -> IntArray:
        from scipy.spatial import cKDTree

        unseen, where = np.unique(cells, return_inverse=True)
        _, nearest = cKDTree(self.bins.centres(self.visited)).query(self.bins.centres(unseen))
        return np.asarray(np.asarray(nearest)[where])


@dataclass(frozen=True, kw_only=True)
class Grid(Partition):
    """Equal bins on ``[low, high)`` of every feature, in its own unit; the outer bins take the outliers.

    Each field is one value for all features, or one per feature.

    Attributes:
        low: Left edge of the first bin.
        high: Right edge of the last bin.
        n_bins: Number of bins.
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    n_bins: int | tuple[int, ...]

    def __post_init__(self) -> None:
        n_columns = max(len(_per_column(value, 1)) for value in (self.low, self.high, self.n_bins))
        n_bins = self._field("n_bins", self.n_bins, n_columns)
        if min(n_bins) < 1:
            raise ValueError(f"n_bins ({self.n_bins}) must be at least 1 along every feature")
        if isinstance(self.n_bins, int) and self.n_bins < 2:
            raise ValueError(f"n_bins ({self.n_bins}) must make at least 2 cells")
        low = self._field("low", self.low, n_columns)
        high = self._field("high", self.high, n_columns)
        for first, last in zip(low, high, strict=True):
            if not -math.inf < first < last < math.inf:
                raise ValueError(f"high ({self.high}) must exceed low ({self.low}), and both be finite")

    def check(self, header: Header) -> None:
        """The number of edges must fit the number of features, and the cells be countable."""
        shape = self._bins(len(header.columns)).shape
        if not 2 <= math.prod(shape) < 2**62:
            raise ValueError(f"n_bins ({self.n_bins}) makes {math.prod(shape):.3g} cells; 2 to 4e18 are allowed")

    def fit(self, train: Trajectory) -> GridCells:
        """Make a state of every cell that a training frame lies in.

        Raises:
            ValueError: All training frames lie in one cell.
        """
        self.check(train.header)
        bins = self._bins(len(train.columns))
        found = [np.unique(bins.cells(piece[chunk])) for piece in train.pieces for chunk in chunks(len(piece))]
        visited = np.unique(np.concatenate(found))
        if len(visited) < 2:
            raise ValueError(
                f"n_bins ({self.n_bins}) on [{self.low}, {self.high}) leaves only one state; take finer bins"
            )
        names = tuple(
            ", ".join(f"{column} {value:g}" for column, value in zip(train.columns, centre, strict=True))
            for centre in bins.centres(visited)
        )
        return GridCells(train.columns, names, bins, visited)

    def _bins(self, n_columns: int) -> Bins:
        low = np.array(self._field("low", self.low, n_columns))
        high = np.array(self._field("high", self.high, n_columns))
        shape = self._field("n_bins", self.n_bins, n_columns)
        return Bins(low, (high - low) / np.array(shape), shape)

    @staticmethod
    def _field(name: str, value: Number | tuple[Number, ...], n_columns: int) -> tuple[Number, ...]:
        values = _per_column(value, n_columns)
        if len(values) != n_columns:
            raise ValueError(f"{name} ({value}) has {len(values)} values; give one, or one per feature ({n_columns})")
        return values


def _per_column(value: Number | tuple[Number, ...], n_columns: int) -> tuple[Number, ...]:
    return value if isinstance(value, tuple) else (value,) * n_columns
