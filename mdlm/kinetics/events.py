"""The slowest process: its two sides, and how often a sequence really crosses between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlm.kinetics.msm import TransitionMatrix
from mdlm.trajectory import FloatArray, IntArray

HELD_SHARE = 0.5  # part of a side's equilibrium population that an active set must hold to speak for that side
SIDE_SHARE = 0.5  # of the typical component of a faster process that a state needs to be on a side of it
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


def slow_eigenvectors(transition: TransitionMatrix, number: int = 1) -> FloatArray:
    """Right eigenvectors of the slowest processes of a reversible transition matrix.

    Returns:
        Shape ``(n_active, number)``, slowest first; each of zero mean and unit variance under the stationary
        distribution, the first active state negative or zero; all zero where the active set has too few states.
    """
    n_active = len(transition.active)
    found = np.zeros((n_active, number))
    root = np.sqrt(transition.stationary)
    symmetric = root[:, None] * transition.matrix / root
    symmetric = (symmetric + symmetric.T) / 2 - root[:, None] * root
    values, vectors = np.linalg.eigh(symmetric)
    slowest = np.argsort(-np.abs(values), kind="stable")[: min(number, n_active - 1)]
    chosen = vectors[:, slowest] / root[:, None]
    found[:, : len(slowest)] = np.where(chosen[:1] > 0, -chosen, chosen)
    return found


def slow_sides(transition: TransitionMatrix) -> SlowSides:
    """Split the states by the sign of the second right eigenvector.

    The first active state is always on side 0; states outside the active set are on no side (-1).

    Example:
        >>> from mdlm.kinetics.msm import reversible_transition_matrix
        >>> counts = np.array([[90, 9, 1, 0], [9, 90, 0, 0], [1, 0, 90, 0], [0, 0, 0, 0]])
        >>> slow_sides(reversible_transition_matrix(counts)).codes.tolist()
        [0, 0, 1, -1]
    """
    return _sides(transition, slow_eigenvectors(transition)[:, 0] > 0)


def process_sides(transition: TransitionMatrix, number: int) -> tuple[SlowSides, ...]:
    """The two sides of each of the slowest processes.

    Of the slowest one `slow_sides`. A faster process goes on between some states only, and the sign of its
    eigenvector elsewhere is noise: of it a state is on a side where its component reaches half of what the
    components of that sign are on average (each weighted by its share in the variance), and else on none. The first
    state that is on a side is on side 0.

    Args:
        transition: A reversible model.
        number: How many processes; fewer where the active set is too small, their sides hold no state.

    Example:
        >>> from mdlm.kinetics.msm import reversible_transition_matrix
        >>> counts = np.array([[800, 0, 0, 1], [0, 900, 9, 0], [0, 9, 900, 1], [1, 0, 1, 800]])
        >>> [sides.codes.tolist() for sides in process_sides(reversible_transition_matrix(counts), 3)][1:]
        [[0, -1, -1, 1], [-1, 0, 1, -1]]
    """
    vectors = slow_eigenvectors(transition, number)
    faster = []
    for vector in vectors.T[1:]:
        codes = np.full(len(vector), -1)
        for code, component in ((0, -vector), (1, vector)):
            share = transition.stationary * np.where(component > 0, component, 0) ** 2
            if share.sum() > 0:
                codes[component >= SIDE_SHARE * (share @ component) / share.sum()] = code
        if (codes >= 0).any() and codes[codes >= 0][0] == 1:
            codes[codes >= 0] = 1 - codes[codes >= 0]
        faster.append(_sides(transition, codes))
    return (slow_sides(transition), *faster)[:number]


def _sides(transition: TransitionMatrix, codes: IntArray | NDArray[np.bool_]) -> SlowSides:
    """Sides on the whole alphabet from those of the active states."""
    everywhere = np.full(transition.n_states, -1)
    weight = np.zeros(transition.n_states)
    everywhere[transition.active] = codes
    weight[transition.active] = transition.stationary
    return SlowSides(everywhere, weight)


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
    pair = np.stack([slow_eigenvectors(first)[rows, 0], slow_eigenvectors(second)[columns, 0]])
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
    from mdlm.kinetics.events_kernels import held_changes

    found: IntArray = held_changes(np.asarray(piece), codes.astype(np.int8), min_frames, HOLD)
    return found
