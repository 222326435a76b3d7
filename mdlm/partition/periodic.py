"""Equal bins around a circle for every angle; the cells that training visits are the states."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mdlm.partition.base import Partition
from mdlm.partition.cells import Bins, VisitedCells, check_n_bins, shape_of
from mdlm.trajectory import Header, Trajectory


@dataclass(frozen=True, kw_only=True)
class Periodic(Partition):
    """Equal bins on ``[start, start + period)`` of every feature; an angle outside is wrapped into it.

    Of a cell that training never visited, the nearest one around the circle counts.

    Attributes:
        n_bins: Number of bins, for all features or one per feature.
        period: Of every feature, in its unit.
        start: Left edge of the first bin, in the same unit.
    """

    n_bins: int | tuple[int, ...]
    period: float = 2 * math.pi
    start: float = -math.pi

    def __post_init__(self) -> None:
        check_n_bins(self.n_bins)
        if not 0 < self.period < math.inf:
            raise ValueError(f"period ({self.period:g}) must be above 0 and finite")
        if not math.isfinite(self.start):
            raise ValueError(f"start ({self.start:g}) must be finite")

    def check(self, header: Header) -> None:
        """The number of bins must fit the number of features, and the cells be countable."""
        shape_of(self.n_bins, len(header.columns))

    def fit(self, train: Trajectory) -> VisitedCells:
        """Make a state of every cell that a training frame lies in.

        Raises:
            ValueError: All training frames lie in one cell.
        """
        shape = shape_of(self.n_bins, len(train.columns))
        start = np.full(len(shape), self.start)
        return VisitedCells.of(train, Bins(start, self.period / np.array(shape), shape, periodic=True))
