"""The Markov chain that a network may be anchored to: what was counted, and a prior for jumps that never were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mdlm.training.support import Support, jump_counts
from mdlm.trajectory import FloatArray, IntArray


def markov_anchor(
    train: Sequence[IntArray], validation: Sequence[IntArray], n_states: int, support: Support
) -> FloatArray:
    """Transition matrix counted over one token, with as much probability for unseen jumps as the data ask for.

    Out of a state, jumps never seen there get the share of those seen exactly once (Good-Turing), with one jump of
    prior knowledge that they do not exist. They share it as a walker would who takes two steps of the chain with
    symmetrised counts: a jump back along one that was seen is likely, one to a neighbour of a neighbour possible. Of
    the jumps seen once, some would not have been found so, had they themselves not been seen; their share goes where
    four steps lead, and the share of those that four would not have found where eight do. A prior that reaches
    everywhere is ruinous: it crosses the highest barrier as often as the lowest.

    Args:
        train: Discrete trajectories; no jump leads from one to the next.
        validation: The same, held out. A jump seen only here counts once, so that its likelihood is finite.
        n_states: Size of the alphabet, V.
        support: ``seen``: as above; where nothing was seen just once, nothing unseen is possible. ``all``: the same
            with one more such jump out of every state, and one more that reaches everywhere, so that nothing is
            impossible. ``counted``: no jump never seen is possible.

    Returns:
        Row: from, column: to; shape ``(V, V)``. Out of a state never left, the populations, every state counted once
        more.

    Source: Good, Biometrika 40, 237 (1953).

    Example:
        >>> markov_anchor([np.array([0, 0, 0, 1, 1, 0, 0, 1])], [], 2, "seen").round(3).tolist()
        [[0.6, 0.4], [0.5, 0.5]]
    """
    counts = jump_counts(train, n_states)
    counts = np.where(counts == 0, jump_counts(validation, n_states) > 0, counts)
    total = counts.sum(axis=1)
    visits = counts.sum(axis=0) + 1
    populations = visits / visits.sum()
    probability = counts / np.maximum(total, 1)[:, None]
    if support != "counted":
        prior = 1 if support == "all" else 0
        unseen = ((counts == 1).sum(axis=1) + prior) / (total + 1 + prior)
        probability = (1 - unseen)[:, None] * probability + unseen[:, None] * _unseen(counts, populations, prior)
    probability[total == 0] = populations
    return _normalised(probability)


def _unseen(counts: NDArray[np.int64], populations: FloatArray, prior: int) -> FloatArray:
    """How jumps never seen share their probability, row by row; zero for those that were."""
    both = (counts + counts.T).astype(np.float64)
    two = np.linalg.matrix_power(both / np.maximum(both.sum(axis=1, keepdims=True), 1), 2)
    four = two @ two
    n_further, n_far = seen_once_beyond(counts)
    n_near = 1 + (counts == 1).sum() - n_further  # one more: where nothing was seen once, the unseen is near
    levels = ((two, n_near), (four, n_further - n_far), (four @ four, n_far), (populations, prior))
    shares = (share * _normalised(np.where(counts == 0, weights, 0)) for weights, share in levels)
    return _normalised(sum(shares, np.zeros(counts.shape)))


def seen_once_beyond(counts: NDArray[np.int64]) -> tuple[int, int]:
    """How many of the jumps seen once lead further than two steps along links of the others, and than four.

    Args:
        counts: Of jumps, row: from, column: to. Two states are linked by a jump either way.

    Example:
        >>> seen_once_beyond(np.array([[0, 2, 0, 0], [2, 0, 2, 0], [0, 2, 0, 2], [1, 0, 2, 0]]))  # 3 > 0
        (1, 0)
    """
    linked = counts + counts.T > 0
    np.fill_diagonal(linked, val=False)  # staying and then jumping is the jump itself
    once = counts == 1
    steps = linked.astype(np.float32)
    beyond_two = once & (counts.T == 0) & (steps @ steps == 0)
    return int(beyond_two.sum()), sum(not _meet(linked, start, end) for start, end in np.argwhere(beyond_two))


def _meet(linked: NDArray[np.bool_], *ends: int) -> bool:
    """Whether two states have neighbours, or neighbours of neighbours, in common, their own link apart."""
    near = linked[list(ends)]
    near[[0, 1], ends[::-1]] = False
    return bool(np.logical_and(*(own | linked[own].any(axis=0) for own in near)).any())


def _normalised(weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights / np.where(total > 0, total, 1))
