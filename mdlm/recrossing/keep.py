"""No treatment: recrossings stay in the sequence."""

from __future__ import annotations

from dataclasses import dataclass

from mdlm.partition.base import Discretiser, Partition
from mdlm.recrossing.base import Recrossing, Treatment
from mdlm.trajectory import Dtraj, Header, Trajectory


@dataclass(frozen=True)
class Untreated(Treatment):
    """Change nothing."""

    def treat(self, states: Dtraj, described: Trajectory) -> Dtraj:
        """Return the states as they are."""
        return states


@dataclass(frozen=True)
class Keep(Recrossing):
    """Keep every recrossing."""

    def check(self, header: Header, partition: Partition) -> None:
        """Nothing can go wrong."""

    def fit(self, discretiser: Discretiser, train: Trajectory) -> Untreated:
        """Nothing to learn."""
        return Untreated()
