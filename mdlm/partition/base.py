"""What every partition gives: a rule, fitted on training data only, that names the state of a frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mdlm.trajectory import Dtraj, FloatArray, Header, IntArray, Trajectory

CHUNK_FRAMES = 2**18  # bounds the temporary arrays of an assignment, whatever the length of a trajectory

StateArray = NDArray[np.int32]


@dataclass(frozen=True)
class Discretiser(ABC):
    """A fitted partition.

    Attributes:
        columns: Feature columns it was fitted on.
        state_names: Name of each state, in order.
    """

    columns: tuple[str, ...]
    state_names: tuple[str, ...]

    @property
    def n_states(self) -> int:
        """Size of the alphabet."""
        return len(self.state_names)

    @abstractmethod
    def states(self, frames: FloatArray) -> IntArray:
        """State of each of some frames, given as an array of shape ``(n_frames, n_columns)``."""

    def distance(self, frames: FloatArray) -> FloatArray:
        """Distance of each frame to the centre of its own state, infinite where that has none, shape ``(n_frames,)``.

        Only of partitions with `Partition.has_centres`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no centres")

    def membership(self, frames: FloatArray) -> FloatArray:
        """Degree, from 0 to 1, to which each frame belongs to its own state, shape ``(n_frames,)``.

        Only of partitions with `Partition.has_memberships`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no memberships")

    def assign(self, trajectory: Trajectory) -> Dtraj:
        """State of every frame; pieces and clock stay as they are.

        Raises:
            ValueError: The columns are not those the partition was fitted on.
        """
        if trajectory.columns != self.columns:
            fitted, given = ", ".join(self.columns), ", ".join(trajectory.columns)
            raise ValueError(f"the partition was fitted on columns {fitted}; the trajectory has {given}")
        pieces = tuple(self._assign_piece(piece) for piece in trajectory.pieces)
        return Dtraj(pieces, trajectory.frame_time, trajectory.time_unit, n_states=self.n_states).check()

    def _assign_piece(self, piece: FloatArray) -> StateArray:
        states = np.empty(len(piece), np.int32)
        for chunk in chunks(len(piece)):
            states[chunk] = self.states(piece[chunk])
        return states


@dataclass(frozen=True)
class Partition(ABC):
    """A way to divide feature space into states."""

    has_centres: ClassVar[bool] = False
    """Whether its states have centres, so that `Discretiser.distance` can be asked for."""
    has_memberships: ClassVar[bool] = False
    """Whether a frame belongs to its state by degrees, so that `Discretiser.membership` can be asked for."""

    @abstractmethod
    def check(self, header: Header) -> None:
        """Raise `ValueError` where this partition cannot work on these described trajectories; cheap."""

    @abstractmethod
    def fit(self, train: Trajectory) -> Discretiser:
        """Learn what has to be learned from training trajectories."""


def chunks(n_frames: int) -> Iterator[slice]:
    """Slices of at most ``CHUNK_FRAMES`` that cover ``n_frames`` in order."""
    return (slice(first, first + CHUNK_FRAMES) for first in range(0, n_frames, CHUNK_FRAMES))
