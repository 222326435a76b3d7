"""Dynamical coring: a state counts only once it has been kept for the residence time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mdlm.partition.base import Discretiser, Partition
from mdlm.recrossing.base import Recrossing, Treatment
from mdlm.recrossing.visits import Visits, most_common
from mdlm.trajectory import Dtraj, Header, IntArray, Trajectory, lag_frames


@dataclass(frozen=True)
class MinimumResidence(Treatment):
    """Give every visit that is too short to the last one that was long enough.

    Attributes:
        passes: Frames that a visit must last, for each pass over the sequence.
    """

    passes: tuple[int, ...]

    def treat(self, states: Dtraj, described: Trajectory) -> Dtraj:
        """Core each piece; one without any long visit becomes its most common state."""
        return replace(states, pieces=tuple(self._cored(piece)[0] for piece in states.pieces))

    def leading(self, states: Dtraj, described: Trajectory) -> tuple[int, ...]:
        """Frames of each piece before its first visit that is long enough, the most of any pass."""
        return tuple(self._cored(piece)[1] for piece in states.pieces)

    def _cored(self, piece: IntArray) -> tuple[IntArray, int]:
        """The cored piece, and how many leading frames took the state of its first core."""
        visits, leading = Visits.of(piece), 0
        for n_frames in self.passes:
            core = visits.lengths >= n_frames
            if not core.any():
                return most_common(piece), len(piece)
            leading = max(leading, int(visits.starts[core.argmax()]))
            visits = visits.absorbed(core)
        return visits.frames, leading


@dataclass(frozen=True, kw_only=True)
class Coring(Recrossing):
    """Dynamical coring: a change of state counts only once the new state has been kept for a time.

    A visit shorter than the residence time is given to the last visit that was long enough, and frames before
    the first such visit to that one. The change is dated back to the first frame of the new visit. A piece
    that stays nowhere long enough becomes its most common state. Every visit that is left lasts at least the
    residence time, so that coring twice is coring once; shorter dwell times, real ones too, do not exist any
    more.

    Attributes:
        residence_time: How long a state must be kept, in the system's time unit.
        iterative: Raise the residence time frame by frame, each time coring what the last pass left. Short
            excursions then end before long visits are judged, and a visit that was merely interrupted counts.

    Source: Nagel et al., J. Chem. Phys. 150, 094111 (2019).
    """

    residence_time: float
    iterative: bool

    def __post_init__(self) -> None:
        if not 0 < self.residence_time < math.inf:
            raise ValueError(f"residence_time ({self.residence_time:g}) must be above 0 and finite")

    def check(self, header: Header, partition: Partition) -> None:
        """The residence time must be a whole number of frames, and fit into a trajectory."""
        frames = self._frames(header.frame_time, header.time_unit)
        if frames > max(header.lengths):
            longest = max(header.lengths) * header.frame_time
            raise ValueError(
                f"residence_time ({self.residence_time:g} {header.time_unit}) must not exceed the longest "
                f"trajectory, {longest:g} {header.time_unit}"
            )

    def fit(self, discretiser: Discretiser, train: Trajectory) -> MinimumResidence:
        """Nothing to learn."""
        frames = self._frames(train.frame_time, train.time_unit)
        return MinimumResidence(tuple(range(1, frames + 1)) if self.iterative else (frames,))

    def _frames(self, frame_time: float, time_unit: str) -> int:
        return lag_frames(self.residence_time, frame_time, time_unit, name="residence_time")
