"""What every feature method gives: new columns from a trajectory, fitted on training data only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from mdlm.trajectory import Header, Trajectory


class FittedFeatures(ABC):
    """Features that are ready to describe any trajectory of the system."""

    @abstractmethod
    def transform(self, trajectory: Trajectory) -> Trajectory:
        """Describe every frame; pieces and clock stay as they are."""


@dataclass(frozen=True)
class Features(ABC):
    """A way to describe frames."""

    @abstractmethod
    def header_of(self, header: Header) -> Header:
        """The described trajectories' header, known before anything is computed.

        Args:
            header: Of the system's trajectories.

        Raises:
            ValueError: A column that is needed is not there, or a time does not fit the clock.
        """

    @abstractmethod
    def fit(self, train: Trajectory) -> FittedFeatures:
        """Learn what has to be learned from training trajectories."""


@dataclass(frozen=True)
class SelectedColumns(FittedFeatures):
    """Features that are columns of the trajectory itself.

    Attributes:
        columns: Which, in this order.
    """

    columns: tuple[str, ...]

    def transform(self, trajectory: Trajectory) -> Trajectory:
        """Keep the selected columns."""
        if trajectory.columns == self.columns:
            return trajectory
        check_available(self.columns, trajectory.columns)
        where = [trajectory.columns.index(name) for name in self.columns]
        pieces = tuple(piece[:, where] for piece in trajectory.pieces)
        return replace(trajectory, pieces=pieces, columns=self.columns)


def check_available(wanted: tuple[str, ...], available: tuple[str, ...]) -> None:
    """Raise `ValueError` naming the first wanted column that is not available.

    Example:
        >>> check_available(("z",), ("x", "y"))
        Traceback (most recent call last):
        ValueError: columns: 'z' is not a column of this system; available are x, y
    """
    for name in wanted:
        if name not in available:
            raise ValueError(f"columns: {name!r} is not a column of this system; available are {', '.join(available)}")
