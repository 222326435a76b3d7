"""What every system gives: trajectories with a clock, and what is known of its kinetics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any

from mdlm.progress import Progress, silent
from mdlm.trajectory import Header, Trajectory


@dataclass(frozen=True)
class Truth:
    """What is known of a system's slow kinetics independently of any partition.

    Attributes:
        timescales: Slowest relaxation times, slowest first, in the system's time unit.
        errors: One standard error of each (zero where the value is exact).
        source: How they were obtained, in one line.
    """

    timescales: tuple[float, ...]
    errors: tuple[float, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class System(ABC):
    """A molecular system, or a toy of one.

    The fields here say how a system is *judged*; they do not enter its trajectories, so changing them does not
    simulate anything again. The fields of a subclass do.

    Attributes:
        lag_time: Lag at which this system's kinetics are judged by default, in its time unit.
        wells: For each column, the coordinate of every known metastable well; empty where none are known.
    """

    lag_time: float
    wells: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    @abstractmethod
    def header(self) -> Header:
        """Columns, lengths and clock of the trajectories, known before they are computed."""

    @abstractmethod
    def trajectories(self, progress: Progress = silent) -> Trajectory:
        """Simulate or read the trajectories; the same fields give the same bits on every call."""

    def tidy(self) -> None:  # noqa: B027 -- most systems keep nothing
        """Remove what was only kept to go on after a kill; called when the trajectories are in the cache."""

    def truth(self) -> Truth | None:
        """The known kinetics for exactly these parameters, or None."""
        return None

    def identity(self) -> dict[str, Any]:
        """The fields that decide the trajectories; with the code they name a cached result."""
        judged = {entry.name for entry in fields(System)}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in judged}
