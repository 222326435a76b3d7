"""The published window filter, kept to be compared with; it damages the sequence. Take coring instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mdlm.partition.base import Discretiser, Partition
from mdlm.recrossing.base import Recrossing, Treatment
from mdlm.trajectory import Dtraj, Header, IntArray, Trajectory


@dataclass(frozen=True)
class Windowed(Treatment):
    """Fill the gaps between changes that are near each other.

    Attributes:
        window: Widest gap that is filled, in frames.
    """

    window: int

    def treat(self, states: Dtraj, described: Trajectory) -> Dtraj:
        """Filter each piece on its own."""
        return replace(states, pieces=tuple(filtered(piece, self.window) for piece in states.pieces))


@dataclass(frozen=True, kw_only=True)
class WindowFilter(Recrossing):
    """The published removal of "peaks and small steps", with its defects; `filtered` says what it does.

    What is wrong with it:

    - It deletes real intermediates: of A, A, A, B, B, C, C, C nothing is left of B.
    - It invents direct jumps: the same sequence now goes from A to C, which it never did.
    - It is not idempotent: treating twice differs from treating once.
    - It ignores what it fills: a gap is filled whether the sequence has stayed in it or not, because only the
      places where the state changes are looked at.
    - It cannot take a sequence that never changes (an index error as published). Here such a sequence stays
      as it is; everything else is as published.

    Attributes:
        window: Widest gap that is filled, in frames. 1 changes nothing. Published: 1, 2, 5, 10, 20, 50, 100.

    Source: code of Tsai, Kuo & Tiwary, Nat. Commun. 11, 5115 (2020), taken over for arXiv 2107.06573.
    """

    window: int

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window ({self.window}) must be at least 1 frame")

    def check(self, header: Header, partition: Partition) -> None:
        """A trajectory must be longer than the window."""
        longest = max(header.lengths)
        if self.window >= longest:
            raise ValueError(f"window ({self.window}) must be below the longest trajectory, {longest} frames")

    def fit(self, discretiser: Discretiser, train: Trajectory) -> Windowed:
        """Nothing to learn."""
        return Windowed(self.window)


def filtered(piece: IntArray, window: int) -> IntArray:
    """The published filter.

    Frames whose two neighbours differ from each other (for the first frame: itself and its neighbour) are marked;
    the last frame never is. A walk over the marks starts at the first, passes over a mark next to where it
    stands, and steps to any other. A step of at most ``window`` frames fills what it crosses: the first half,
    with the frame it started from and the middle one, takes the state at its start; the second half, with the
    frame it ended at, takes the state of the frame after that.

    Args:
        piece: State sequence, shape ``(n_frames,)``.
        window: Widest step that fills, in frames.

    Example:
        >>> filtered(np.array([0, 0, 0, 1, 1, 2, 2, 2]), window=2).tolist()
        [0, 0, 0, 0, 2, 2, 2, 2]
    """
    marks = np.flatnonzero(np.concatenate([piece[:1] != piece[1:2], piece[2:] != piece[:-2]]))
    if len(marks) < 2:  # nothing to walk; a sequence that never changes has no marks at all
        return piece
    # the walk stands on the first mark of every row of adjacent marks, and on every second one after it
    first = np.flatnonzero(np.diff(marks, prepend=-2) > 1)
    place_in_row = np.arange(len(marks)) - np.repeat(first, np.diff(first, append=len(marks)))
    stands = marks[place_in_row % 2 == 0]
    begin, end = stands[:-1], stands[1:]
    gap = end - begin
    fills = gap <= window
    # where the step before has filled, its last frame, where this one begins, already has its neighbour's state
    came_filled = np.concatenate([[False], fills])[: len(fills)]
    before, after = piece[begin + came_filled], piece[end + 1]
    halves = np.stack([gap // 2 + 1, gap - gap // 2 - 1], axis=1).ravel()
    filling = np.repeat(np.stack([before, after], axis=1).ravel(), halves)
    result = piece.copy()
    walked = result[stands[0] : stands[-1]]
    walked[...] = np.where(np.repeat(fills, gap), filling, walked)
    result[end[fills]] = after[fills]
    return result
