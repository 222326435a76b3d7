"""What every recrossing treatment gives: a rule, fitted on training data only, that cleans a state sequence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mdlm.partition.base import Discretiser, Partition
from mdlm.trajectory import Dtraj, Header, Trajectory


class Treatment(ABC):
    """A fitted recrossing treatment."""

    @abstractmethod
    def treat(self, states: Dtraj, described: Trajectory) -> Dtraj:
        """Clean each piece on its own; lengths, clock and alphabet stay as they are.

        Args:
            states: The state of every frame.
            described: The same frames, as the partition saw them.
        """

    def leading(self, states: Dtraj, described: Trajectory) -> tuple[int, ...]:
        """Frames of each piece before its first core, all of them where it has none; 0 where there are no cores.

        These are the frames whose state is not known from before: they take the state of the first core.

        Args:
            states: The untreated state of every frame.
            described: The same frames, as the partition saw them.
        """
        return (0,) * len(states.pieces)


@dataclass(frozen=True)
class Recrossing(ABC):
    """A way to remove short excursions over a boundary that are no transitions."""

    @abstractmethod
    def check(self, header: Header, partition: Partition) -> None:
        """Raise `ValueError` where this treatment cannot work on these described trajectories; cheap."""

    @abstractmethod
    def fit(self, discretiser: Discretiser, train: Trajectory) -> Treatment:
        """Learn what has to be learned from training trajectories and the partition fitted on them."""
