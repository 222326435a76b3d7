"""A state sequence as visits: which state, for how many frames, and whether its ends were seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlm.trajectory import IntArray, visit_starts


@dataclass(frozen=True)
class Visits:
    """All visits of all pieces in time order; an uninterrupted stay in one state is a visit.

    Attributes:
        states: State of each visit, shape ``(n_visits,)``.
        lengths: Frames of each, same shape.
        first: Whether it is the first of its piece: when it began was not seen. Same shape.
        last: Whether it is the last of its piece: when it ended was not seen. Same shape.
    """

    states: IntArray
    lengths: IntArray
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]

    @staticmethod
    def of(pieces: Sequence[IntArray]) -> Visits:
        """Find the visits; empty pieces have none.

        Example:
            >>> visits = Visits.of([np.array([4, 4, 7]), np.array([7])])
            >>> visits.states.tolist(), visits.lengths.tolist(), visits.last.tolist()
            ([4, 7, 7], [2, 1, 1], [False, True, True])
        """
        pieces = [piece for piece in pieces if len(piece)]
        starts = [visit_starts(piece) for piece in pieces]
        numbers = np.array([len(of_piece) for of_piece in starts], dtype=np.intp)
        ends = np.cumsum(numbers)
        none = [np.zeros(0, dtype=np.intp)]
        states = [np.asarray(piece[of_piece], dtype=np.intp) for piece, of_piece in zip(pieces, starts, strict=True)]
        lengths = [np.diff(of_piece, append=len(piece)) for piece, of_piece in zip(pieces, starts, strict=True)]
        first, last = np.zeros((2, int(numbers.sum())), dtype=np.bool_)
        last[ends - 1] = True
        first[ends - numbers] = True
        return Visits(np.concatenate(none + states), np.concatenate(none + lengths), first, last)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.states)

    def numbers(self, n_states: int) -> IntArray:
        """How often each state was visited, shape ``(n_states,)``."""
        return np.bincount(self.states, minlength=n_states)
