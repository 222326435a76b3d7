"""Milestoning between cores of low free energy, for partitions without centres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mdlm.partition.base import Discretiser, Partition, chunks
from mdlm.recrossing.base import Recrossing
from mdlm.recrossing.milestoning import Milestoning
from mdlm.recrossing.visits import BoolArray
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory

MAX_COLUMNS = 3  # a histogram of more dimensions is empty almost everywhere
MAX_BINS = 1000
OUTSIDE = -1


@dataclass(frozen=True)
class Histogram:
    """Equal bins along each feature over the range of the training frames.

    Attributes:
        low: Lower edge of the range, shape ``(n_columns,)``.
        high: Upper edge, shape ``(n_columns,)``.
        n_bins: Bins along each feature.
    """

    low: FloatArray
    high: FloatArray
    n_bins: int

    @property
    def n_cells(self) -> int:
        """Cells of the whole histogram."""
        return int(self.n_bins ** len(self.low))

    def cells(self, frames: FloatArray, states: IntArray) -> IntArray:
        """Number of each frame's cell, counted apart for each state; ``OUTSIDE`` beyond the range."""
        inside = ((frames >= self.low) & (frames <= self.high)).all(axis=1)
        width = np.where(self.high > self.low, (self.high - self.low) / self.n_bins, 1.0)
        bins = np.clip((frames - self.low) / width, 0, self.n_bins - 1).astype(np.int64)
        cell = np.ravel_multi_index(tuple(bins.T), (self.n_bins,) * len(self.low))
        return np.where(inside, states * np.int64(self.n_cells) + cell, OUTSIDE)


@dataclass(frozen=True)
class DensityCores(Milestoning):
    """A core is what lies in the cells of low free energy of its state.

    Attributes:
        histogram: Where the cells are.
        cells: Numbers of those of low free energy, ascending.
    """

    histogram: Histogram
    cells: IntArray

    def contain(self, frames: FloatArray) -> BoolArray:
        """Which frames lie in such a cell of their own state."""
        return np.isin(self.histogram.cells(frames, self.discretiser.states(frames)), self.cells)


@dataclass(frozen=True, kw_only=True)
class CoreSetDensity(Recrossing):
    """The state changes only at a frame in a cell of low free energy of another state.

    The free energy of a cell within a state is -kT ln of the number of training frames of that state in it. A
    core holds the cells at most ``energy_kT`` above the lowest of its state; frames outside the range of the
    training frames are in no core.

    Attributes:
        energy_kT: Highest free energy of a core above the minimum of its state, in kT.
        n_bins: Bins along each feature over the range of the training frames.
    """

    energy_kT: float
    n_bins: int

    def __post_init__(self) -> None:
        if not 0 < self.energy_kT < math.inf:
            raise ValueError(f"energy_kT ({self.energy_kT:g}) must be above 0 and finite")
        if not 2 <= self.n_bins <= MAX_BINS:
            raise ValueError(f"n_bins ({self.n_bins}) must lie between 2 and {MAX_BINS}")

    def check(self, header: Header, partition: Partition) -> None:
        """A histogram needs few features."""
        n_columns = len(header.columns)
        if n_columns > MAX_COLUMNS:
            raise ValueError(
                f"n_bins ({self.n_bins}) along each of {n_columns} features cannot be filled; a density needs at "
                f"most {MAX_COLUMNS}: take fewer features or recrossing=coring"
            )

    def fit(self, discretiser: Discretiser, train: Trajectory) -> DensityCores:
        """Find the cells of low free energy of each state.

        Raises:
            ValueError: Training enters the cores of fewer than two states.
        """
        pieces = [piece for piece in train.pieces if len(piece)]
        low = np.min([piece.min(axis=0) for piece in pieces], axis=0)
        high = np.max([piece.max(axis=0) for piece in pieces], axis=0)
        histogram = Histogram(low.astype(float), high.astype(float), self.n_bins)
        counted = [
            np.unique(histogram.cells(piece[chunk], discretiser.states(piece[chunk])), return_counts=True)
            for piece in pieces
            for chunk in chunks(len(piece))
        ]
        cells, which = np.unique(np.concatenate([cells for cells, _ in counted]), return_inverse=True)
        counts = np.bincount(which, np.concatenate([counts for _, counts in counted]))
        states = cells // histogram.n_cells
        peak = np.zeros(discretiser.n_states)
        np.maximum.at(peak, states, counts)
        deep = counts >= peak[states] * np.exp(-self.energy_kT)
        return DensityCores(discretiser, histogram, cells[deep]).checked(train, f"energy_kT ({self.energy_kT:g})")
