"""Nearest centre: the fitted form of every clustering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.partition.base import Discretiser
from mdlm.partition.metrics import Metric
from mdlm.trajectory import FloatArray, IntArray, Trajectory

NAMED_COLUMNS = 3
"""Up to so many coordinates are part of a state's name."""


@dataclass(frozen=True)
class NearestCentre(Discretiser):
    """The state is the nearest centre, of equally near ones the first.

    Attributes:
        centres: Shape ``(n_states, n_columns)``, in the unit of the features.
        metric: What near means.
        radius: Largest distance of a training frame to the centre of its state, as `distance` measures it.
    """

    centres: FloatArray
    metric: Metric
    radius: float

    @classmethod
    def of(cls, train: Trajectory, centres: FloatArray, metric: Metric, field: str) -> NearestCentre:
        """Make states of the centres that training frames are nearest to, the most populated first.

        Args:
            train: Training trajectories.
            centres: Shape ``(n_centres, n_columns)``, in the unit of the features.
            metric: What near means.
            field: Field that made the centres and its value, for the error text.

        Raises:
            ValueError: All training frames are nearest to one centre.
        """
        population, radius = np.zeros(len(centres), np.int64), 0.0
        for piece in train.pieces:
            states, distance = metric.nearest(piece, centres)
            population += np.bincount(states, minlength=len(centres))
            radius = max(radius, float(distance.max(initial=0.0)))
        order = np.argsort(-population, kind="stable")[: np.count_nonzero(population)]
        if len(order) < 2:
            raise ValueError(f"{field} leaves only one state: every training frame is nearest to one centre")
        return cls(train.columns, _names(centres[order]), centres[order], metric, radius)

    def states(self, frames: FloatArray) -> IntArray:
        """Index of the nearest centre of each frame."""
        return self.metric.nearest(frames, self.centres)[0]

    def distance(self, frames: FloatArray) -> FloatArray:
        """Distance to the nearest centre: in the unit of ``metric``."""
        return self.metric.nearest(frames, self.centres)[1]


def _names(centres: FloatArray) -> tuple[str, ...]:
    if centres.shape[1] > NAMED_COLUMNS:
        return tuple(f"centre {number}" for number in range(1, len(centres) + 1))
    coordinates = (", ".join(f"{value:g}" for value in centre) for centre in centres)
    return tuple(f"centre {number} ({values})" for number, values in enumerate(coordinates, start=1))
