"""A state sequence as its visits: uninterrupted stays in one state, in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlm.trajectory import IntArray, visit_starts

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Visits:
    """The visits of one piece.

    Attributes:
        states: State of each visit, shape ``(n_visits,)``.
        starts: First frame of each visit, ascending from 0, shape ``(n_visits,)``.
        n_frames: Length of the piece; the last visit ends there.
    """

    states: IntArray
    starts: IntArray
    n_frames: int

    @classmethod
    def of(cls, piece: IntArray) -> Visits:
        """The visits of a state sequence.

        Example:
            >>> visits = Visits.of(np.array([4, 4, 7, 4]))
            >>> visits.states.tolist(), visits.starts.tolist(), visits.lengths.tolist()
            ([4, 7, 4], [0, 2, 3], [2, 1, 1])
        """
        starts = visit_starts(piece)
        return cls(piece[starts], starts, len(piece))

    @property
    def lengths(self) -> IntArray:
        """Frames of each visit, shape ``(n_visits,)``."""
        return np.diff(self.starts, append=self.n_frames)

    @property
    def frames(self) -> IntArray:
        """The state sequence, shape ``(n_frames,)``."""
        return np.repeat(self.states, self.lengths)

    def absorbed(self, core: BoolArray) -> Visits:
        """Give every visit that is no core to the core before it; those before the first core to that one.

        Args:
            core: Which visits are cores, shape ``(n_visits,)``; at least one must be.

        Example:
            >>> Visits.of(np.array([1, 0, 0, 2, 0, 0, 1])).absorbed(np.array([0, 1, 0, 1, 0], bool)).frames.tolist()
            [0, 0, 0, 0, 0, 0, 0]
        """
        cores = np.flatnonzero(core)
        states = self.states[cores]
        changed = np.concatenate([[True], states[1:] != states[:-1]])  # cores of one state are one visit
        starts = self.starts[cores][changed]
        starts[0] = 0
        return Visits(states[changed], starts, self.n_frames)


def milestoned(piece: IntArray, in_core: BoolArray) -> IntArray:
    """Let the state change only at frames inside a core.

    Every frame takes the state of the last core frame, those before the first core frame the state of that
    one. A piece that is never inside a core becomes its most common state.

    Args:
        piece: State sequence, shape ``(n_frames,)``.
        in_core: Which frames lie in the core of their state, shape ``(n_frames,)``.

    Example:
        >>> milestoned(np.array([0, 1, 0, 1, 1, 0]), np.array([0, 1, 0, 0, 1, 1], bool)).tolist()
        [1, 1, 1, 1, 1, 0]
    """
    if not in_core.any():
        return most_common(piece)
    frames = Visits(piece, np.arange(len(piece)), len(piece))
    return frames.absorbed(in_core).frames


def most_common(piece: IntArray) -> IntArray:
    """A piece of the same length in its most common state throughout, of several the lowest.

    Example:
        >>> most_common(np.array([2, 0, 2])).tolist()
        [2, 2, 2]
    """
    return np.full_like(piece, np.bincount(piece).argmax()) if len(piece) else piece
