"""Milestoning between cores around the centres of the states."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mdlm.partition.base import Discretiser, Partition
from mdlm.recrossing.base import Recrossing
from mdlm.recrossing.milestoning import Milestoning
from mdlm.recrossing.visits import BoolArray
from mdlm.trajectory import FloatArray, Header, Trajectory


@dataclass(frozen=True)
class DistanceCores(Milestoning):
    """A core is what lies near the centre of its state.

    Attributes:
        radius: Of every core, in the unit of the features.
    """

    radius: float

    def contain(self, frames: FloatArray) -> BoolArray:
        """Which frames lie within the radius."""
        return np.asarray(self.discretiser.distance(frames) <= self.radius)


@dataclass(frozen=True, kw_only=True)
class CoreSet(Recrossing):
    """The state changes only when a frame comes within ``radius`` of the centre of another state.

    A state without a centre, such as the one between wells of a radius, has no core and is not seen any more,
    except in a piece that never enters a core. Cores that touch treat nothing: the radius must stay well below
    half the distance between neighbouring centres.

    Attributes:
        radius: Of every core, in the unit of the features.
    """

    radius: float

    def __post_init__(self) -> None:
        if not 0 < self.radius < math.inf:
            raise ValueError(f"radius ({self.radius:g}) must be above 0 and finite")

    def check(self, header: Header, partition: Partition) -> None:
        """The partition's states must have centres."""
        if not partition.has_centres:
            raise ValueError(
                f"radius ({self.radius:g}) needs a partition whose states have centres, and "
                f"{type(partition).__name__} has none; take recrossing=core_set_density or coring"
            )

    def fit(self, discretiser: Discretiser, train: Trajectory) -> DistanceCores:
        """Take the partition's centres.

        Raises:
            ValueError: Training enters the cores of fewer than two states.
        """
        return DistanceCores(discretiser, self.radius).checked(train, f"radius ({self.radius:g})")
