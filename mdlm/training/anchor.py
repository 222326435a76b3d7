"""The Markov chain that a network may be anchored to: what was counted, and a prior for jumps that never were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mdlm.training.support import jump_counts
from mdlm.trajectory import FloatArray, IntArray

Support = Literal["seen", "all", "counted"]


def markov_anchor(
    train: Sequence[IntArray], validation: Sequence[IntArray], n_states: int, support: Support
) -> FloatArray:
    """Transition matrix counted over one token, with as much probability for unseen jumps as the data ask for.

    Out of a state, jumps never seen there get the share of those seen exactly once (Good-Turing), with one jump of
    prior knowledge that they do not exist. They share it in proportion to a kinetically local prior: two steps of
    the chain with symmetrised counts. So a jump back along one that was seen is likely, one to a neighbour of a
    neighbour possible, and no other is: a prior that reaches everywhere would cross the highest barrier as often as
    the lowest. Jumps seen once that are further than that, were they not seen themselves, say how much of the unseen
    probability has to go to any state, in proportion to the populations.

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
    visits = counts.sum(axis=0) + 1.0
    populations = visits / visits.sum()
    probability = counts / np.maximum(total, 1)[:, None]
    if support != "counted":
        prior = 1 if support == "all" else 0
        unseen = ((counts == 1).sum(axis=1) + prior) / (total + 1 + prior)
        unseen[~(counts == 0).any(axis=1)] = 0
        probability = (1 - unseen)[:, None] * probability + unseen[:, None] * _unseen(counts, populations, prior)
    probability[total == 0] = populations
    return probability / probability.sum(axis=1, keepdims=True)


def _unseen(counts: NDArray[np.int64], populations: FloatArray, prior: int) -> FloatArray:
    """How jumps never seen share their probability, row by row; zero for those that were."""
    both = (counts + counts.T).astype(np.float64)
    step = both / np.maximum(both.sum(axis=1, keepdims=True), 1)
    local = _normalised(np.where(counts == 0, step @ step, 0))
    anywhere = _normalised(np.where(counts == 0, populations, 0))
    neighbours = both > 0
    np.fill_diagonal(neighbours, val=False)
    reached = (neighbours.astype(np.float32) @ neighbours.astype(np.float32) > 0) | (counts.T > 0)
    once = counts == 1
    far = (float((once & ~reached).sum()) + prior) / (float(once.sum()) + 2 * prior or 1.0)
    has_local = local.sum(axis=1, keepdims=True) > 0
    return np.where(has_local, (1 - far) * local + far * anywhere, anywhere)


def _normalised(weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights / np.where(total > 0, total, 1))
