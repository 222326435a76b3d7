"""What all core sets share: the state changes only when another core is entered."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from mdlm.partition.base import Discretiser, chunks
from mdlm.recrossing.base import Treatment
from mdlm.recrossing.visits import BoolArray, milestoned
from mdlm.trajectory import Dtraj, FloatArray, Trajectory


@dataclass(frozen=True)
class Milestoning(Treatment):
    """Every frame takes the state whose core was entered last.

    Frames before the first core take that core's state. A piece that never enters a core becomes its most
    common untreated state. Treating twice is treating once: a frame lies in a core, or not, by its features.

    Attributes:
        discretiser: The fitted partition.

    Source: Buchete & Hummer, J. Phys. Chem. B 112, 6057 (2008); Schütte et al., J. Chem. Phys. 134, 204105 (2011).
    """

    discretiser: Discretiser

    @abstractmethod
    def contain(self, frames: FloatArray) -> BoolArray:
        """Which of some frames, shape ``(n_frames, n_columns)``, lie in the core of their own state."""

    def treat(self, states: Dtraj, described: Trajectory) -> Dtraj:
        """Let each piece change its state only where it enters a core."""
        pairs = zip(states.pieces, described.pieces, strict=True)
        return replace(states, pieces=tuple(milestoned(piece, self._in_core(frames)) for piece, frames in pairs))

    def leading(self, states: Dtraj, described: Trajectory) -> tuple[int, ...]:
        """Frames of each piece before it first enters a core."""
        return tuple(self._first(frames) for frames in described.pieces)

    def checked(self, train: Trajectory, setting: str) -> Self:
        """Return ``self``; raise `ValueError` unless training enters the cores of at least two states.

        Args:
            train: Training trajectories.
            setting: Name and value of what decides the size of a core, for the error text.
        """
        entered: set[int] = set()
        for piece in train.pieces:
            for chunk in chunks(len(piece)):
                inside = piece[chunk][self.contain(piece[chunk])]
                entered.update(np.unique(self.discretiser.states(inside)).tolist())
                if len(entered) > 1:
                    return self
        raise ValueError(f"{setting} lets training enter the cores of {len(entered)} states; it must enter at least 2")

    def _in_core(self, piece: FloatArray) -> BoolArray:
        inside = np.empty(len(piece), bool)
        for chunk in chunks(len(piece)):
            inside[chunk] = self.contain(piece[chunk])
        return inside

    def _first(self, piece: FloatArray) -> int:
        """The first frame in a core; the length of the piece where there is none."""
        for chunk in chunks(len(piece)):
            inside = self.contain(piece[chunk])
            if inside.any():
                return int(chunk.start + inside.argmax())
        return len(piece)
