"""Milestoning between cores of frames that clearly belong to their state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.partition.base import Discretiser, Partition
from mdlm.recrossing.base import Recrossing
from mdlm.recrossing.milestoning import Milestoning
from mdlm.recrossing.visits import BoolArray
from mdlm.trajectory import FloatArray, Header, Trajectory


@dataclass(frozen=True)
class MembershipCores(Milestoning):
    """A core is what belongs to its state to a high degree.

    Attributes:
        threshold: Least degree.
    """

    threshold: float

    def contain(self, frames: FloatArray) -> BoolArray:
        """Which frames belong to their state to at least the threshold."""
        return np.asarray(self.discretiser.membership(frames) >= self.threshold)


@dataclass(frozen=True, kw_only=True)
class CoreSetMembership(Recrossing):
    """The state changes only at a frame that belongs to another state to a degree of at least ``threshold``.

    Attributes:
        threshold: Least membership of a core frame in its own state, such as that of PCCA+.
    """

    threshold: float

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold ({self.threshold:g}) must be above 0 and at most 1")

    def check(self, header: Header, partition: Partition) -> None:
        """The partition must know memberships."""
        if not partition.has_memberships:
            raise ValueError(
                f"threshold ({self.threshold:g}) needs a partition with memberships, and "
                f"{type(partition).__name__} has none; take recrossing=core_set, core_set_density or coring"
            )

    def fit(self, discretiser: Discretiser, train: Trajectory) -> MembershipCores:
        """Take the partition's memberships.

        Raises:
            ValueError: Training enters the cores of fewer than two states.
        """
        return MembershipCores(discretiser, self.threshold).checked(train, f"threshold ({self.threshold:g})")
