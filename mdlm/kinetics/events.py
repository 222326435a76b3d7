"""The slowest process: its two sides, and how often a sequence really crosses between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.msm import TransitionMatrix
from mdlm.trajectory import FloatArray, IntArray

HELD_SHARE = 0.5  # part of a side's equilibrium population that an active set must hold to speak for that side
HOLD = 0.75  # part of a window that must lie on a side for the side to be held


@dataclass(frozen=True)
class SlowSides:
    """The two sets of states between which the slowest process exchanges population.

    Attributes:
        codes: 0 or 1 for each state, -1 outside the active set they were found on, shape ``(n_states,)``.
        weight: Stationary probability of each state, zero outside that active set, shape ``(n_states,)``.
    """

    codes: IntArray
    weight: FloatArray

    @property
    def exist(self) -> bool:
        """Whether there are two sides at all; an active set of one state has no slow process."""
        return bool((self.codes == 0).any() and (self.codes == 1).any())

    def held_by(self, active: IntArray) -> bool:
        """Whether ``active`` holds at least half of the population of each side.

        Without this a sequence that never leaves one side would pass off a faster process, inside that
        side, as its slowest one. Half, not any, because states at the barrier are shared by excursions from
        one side.
        """
        if not self.exist:
            return False
        inside = np.isin(np.arange(len(self.codes)), active)
        sides = [self.codes == side for side in (0, 1)]
        return all(self.weight[side & inside].sum() >= HELD_SHARE * self.weight[side].sum() for side in sides)

    def seen_by(self, of_state: IntArray, weight: FloatArray) -> SlowSides:
        """The same sides on a finer alphabet.

        Args:
            of_state: The state, of this alphabet, that each finer one belongs to, -1 for none; shape ``(n_fine,)``.
            weight: Probability of each finer state, same shape.
        """
        codes = np.where(of_state < 0, -1, self.codes[of_state])
        return SlowSides(codes, np.where(codes < 0, 0.0, weight))

    def describe(self) -> str:
        """Name the sides by their states where these are few."""
        sides = [np.flatnonzero(self.codes == side).tolist() for side in (0, 1)]
        if max(map(len, sides)) > 6:
            return f"the two slow sides ({len(sides[0])} and {len(sides[1])} states)"
        first, second = ("{" + ", ".join(map(str, side)) + "}" for side in sides)
        return f"{first} and {second}"


def slow_eigenvector(transition: TransitionMatrix) -> FloatArray:
    """Second right eigenvector of a reversible transition matrix.

    Returns:
        Shape ``(n_active,)``, zero mean and unit variance under the stationary distribution, the first active
        state negative or zero; all zero where the active set has fewer than two states.
    """
    if len(transition.active) < 2:
        return np.zeros(len(transition.active))
    root = np.sqrt(transition.stationary)
    symmetric = root[:, None] * transition.matrix / root
    symmetric = (symmetric + symmetric.T) / 2 - root[:, None] * root
    values, vectors = np.linalg.eigh(symmetric)
    vector: FloatArray = vectors[:, np.abs(values).argmax()] / root
    return -vector if vector[0] > 0 else vector


def slow_sides(transition: TransitionMatrix) -> SlowSides:
    """Split the states by the sign of the second right eigenvector.

    The first active state is always on side 0; states outside the active set are on no side (-1).

    Example:
        >>> from mdlm.kinetics.msm import reversible_transition_matrix
        >>> counts = np.array([[90, 9, 1, 0], [9, 90, 0, 0], [1, 0, 90, 0], [0, 0, 0, 0]])
        >>> slow_sides(reversible_transition_matrix(counts)).codes.tolist()
        [0, 0, 1, -1]
    """
    codes = np.full(transition.n_states, -1)
    weight = np.zeros(transition.n_states)
    codes[transition.active] = slow_eigenvector(transition) > 0
    weight[transition.active] = transition.stationary
    return SlowSides(codes, weight)


def slow_process_overlap(first: TransitionMatrix, second: TransitionMatrix, weight: FloatArray) -> float:
    """Whether two models have the same slowest process: correlation of their second right eigenvectors.

    Args:
        first: One model.
        second: The other, on the same alphabet.
        weight: Weight of each state, shape ``(n_states,)``; states outside either active set do not count.

    Returns:
        From 0 (unrelated) to 1 (the same process); NaN where fewer than two states are shared.
    """
    shared, rows, columns = np.intersect1d(first.active, second.active, return_indices=True)
    pair = np.stack([slow_eigenvector(first)[rows], slow_eigenvector(second)[columns]])
    weight = weight[shared]
    if not weight.sum():
        return float("nan")
    pair -= (pair @ weight / weight.sum())[:, None]
    covariance = (pair * weight) @ pair.T
    scale = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return float(abs(covariance[0, 1]) / scale) if scale else float("nan")


def count_slow_events(pieces: Iterable[IntArray], codes: IntArray, min_frames: int) -> int:
    """Count the changes of side that last, in all pieces; see `slow_events`.

    Example:
        >>> count_slow_events([np.array([0, 0, 1, 0, 0, 1, 1, 1])], np.array([0, 1]), min_frames=2)
        1
    """
    return sum(len(slow_events(piece, codes, min_frames)) for piece in pieces)


def slow_events(piece: IntArray, codes: IntArray, min_frames: int) -> IntArray:
    """Find the changes of side that last.

    A side is held where at least three quarters of a window of ``min_frames`` frames lie on it; an event is a
    hold of the other side than the hold before it in the same piece. Recrossings are no events, and neither is
    the first hold of a piece. Three quarters, not all: a partition that mistakes a few frames for the other
    side would otherwise seem never to stay anywhere. Frames in a state of no side (-1) are skipped: they
    neither interrupt a visit nor lengthen it.

    Args:
        piece: State sequence, shape ``(n_frames,)``.
        codes: Side of each state, 0, 1 or -1, shape ``(n_states,)``.
        min_frames: Length of the window; the lag.

    Returns:
        Of each event the first frame of the last window that holds the side left, and the frame after the first
        window that holds the side entered: the crossing lies between them. Shape ``(n_events, 2)``.

    Example:
        >>> slow_events(np.array([0, 0, 1, 0, 0, 1, 1, 1]), np.array([0, 1]), min_frames=2).tolist()
        [[3, 7]]
    """
    side = codes[piece]
    on_a_side = np.flatnonzero(side >= 0)
    ones = np.concatenate([[0], np.cumsum(side[on_a_side])])
    in_window = ones[min_frames:] - ones[:-min_frames]
    windows = np.flatnonzero((in_window >= HOLD * min_frames) | (in_window <= (1 - HOLD) * min_frames))
    held = in_window[windows] > min_frames / 2
    changes = np.flatnonzero(held[1:] != held[:-1])
    first, last = windows[changes], windows[changes + 1] + min_frames - 1
    return np.stack([on_a_side[first], on_a_side[last] + 1], axis=1)
