"""Bins of the sine of one angle: the published partition of alanine dipeptide."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mdlm.partition.base import Discretiser, Partition
from mdlm.partition.cells import Bins, VisitedCells
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory

MANY = 5  # columns that an error only counts
N_BINS = 20
"""As published: one bin below -0.9, then edges every 0.1 up to 1.0. These are equal bins on [-1, 1]."""


@dataclass(frozen=True)
class SinCells(Discretiser):
    """The state is the bin of the sine.

    Attributes:
        cells: Bins of the sine that training visited.
    """

    cells: VisitedCells

    def states(self, frames: FloatArray) -> IntArray:
        """State of each frame; of a bin that training never visited, the nearest one that it did."""
        return self.cells.states(np.sin(frames))


@dataclass(frozen=True, kw_only=True)
class SinBins(Partition):
    """Twenty bins of the sine of one angle, of which those that training visits are the states.

    The published form, kept for comparison: an angle and its supplement (0.5 and pi - 0.5) have the same sine, so
    that conformations on both sides of 90 degrees share a state. `mdlm.partition.periodic` keeps them apart.

    Source: Zeng, Cao, Huang & Yao, arXiv 2107.06573 (2021).
    """

    def check(self, header: Header) -> None:
        """There must be one column."""
        if len(header.columns) != 1:
            given = ", ".join(header.columns) if len(header.columns) < MANY else f"{len(header.columns)} of them"
            raise ValueError(f"sin_bins needs one feature, an angle in radians, not {given}")

    def fit(self, train: Trajectory) -> SinCells:
        """Make a state of every bin that a training frame lies in.

        Raises:
            ValueError: All training frames lie in one bin, or the angle cannot be in radians.
        """
        self.check(train.header)
        largest = max(float(np.abs(piece).max()) for piece in train.pieces)
        if largest > 2 * math.pi:
            raise ValueError(f"sin_bins needs radians, at most 2 pi; {train.columns[0]!r} reaches {largest:g}")
        columns = (f"sin({train.columns[0]})",)
        sines = replace(train, pieces=tuple(np.sin(piece) for piece in train.pieces), columns=columns)
        cells = VisitedCells.of(sines, Bins(np.array([-1.0]), np.array([2 / N_BINS]), (N_BINS,)))
        return SinCells(train.columns, cells.state_names, cells)
