"""Equal bins along every feature; the cells that training visits are the states."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mdlm.partition.base import Partition
from mdlm.partition.cells import Bins, VisitedCells, check_n_bins, per_column, shape_of
from mdlm.trajectory import FloatArray, Header, Trajectory

Edge = float | tuple[float | None, ...] | None


@dataclass(frozen=True, kw_only=True)
class Grid(Partition):
    """Equal bins on ``[low, high)`` of every feature, in its own unit; the outer bins take the outliers.

    Each field is one value for all features, or one per feature.

    Attributes:
        low: Left edge of the first bin; None: the smallest training value.
        high: Right edge of the last bin; None: the largest training value.
        n_bins: Number of bins.
    """

    low: Edge
    high: Edge
    n_bins: int | tuple[int, ...]

    def __post_init__(self) -> None:
        check_n_bins(self.n_bins)
        fields = (self.low, self.high, self.n_bins)
        n_columns = max(len(value) if isinstance(value, tuple) else 1 for value in fields)
        per_column("n_bins", self.n_bins, n_columns)
        for edges in zip(*self._edges(n_columns), strict=True):
            given = [edge for edge in edges if edge is not None]
            if not all(map(math.isfinite, given)) or given != sorted(set(given)):
                raise ValueError(f"high ({self.high}) must exceed low ({self.low}), and both be finite")

    def check(self, header: Header) -> None:
        """The number of edges must fit the number of features, and the cells be countable."""
        shape_of(self.n_bins, len(header.columns))
        self._edges(len(header.columns))

    def fit(self, train: Trajectory) -> VisitedCells:
        """Make a state of every cell that a training frame lies in.

        Raises:
            ValueError: All training frames lie in one cell, or an edge that training gives leaves no room for bins.
        """
        self.check(train.header)
        shape = shape_of(self.n_bins, len(train.columns))
        low, high = self._edges_from(train)
        return VisitedCells.of(train, Bins(low, (high - low) / np.array(shape), shape))

    def _edges(self, n_columns: int) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
        return per_column("low", self.low, n_columns), per_column("high", self.high, n_columns)

    def _edges_from(self, train: Trajectory) -> tuple[FloatArray, FloatArray]:
        """Edges of each column, shape ``(n_columns,)``, those not given from the data."""
        smallest = np.min([piece.min(axis=0) for piece in train.pieces], axis=0)
        largest = np.max([piece.max(axis=0) for piece in train.pieces], axis=0)
        low, high = self._edges(len(train.columns))
        lows = np.array([edge if edge is not None else value for edge, value in zip(low, smallest, strict=True)], float)
        highs = np.array(
            [edge if edge is not None else value for edge, value in zip(high, largest, strict=True)], float
        )
        for column, first, last in zip(train.columns, lows, highs, strict=True):
            if first >= last:
                raise ValueError(
                    f"high ({last:g}) of {column} must exceed its low ({first:g}); null is the range of training"
                )
        return lows, highs
