"""The Markov chain that a network may be anchored to: what was counted, and a prior for jumps that never were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mdlm.training.support import Support, jump_counts
from mdlm.trajectory import FloatArray, IntArray

GO_ON = 0.5
"""Probability that the prior's walker takes one more step. From 0.3 to 0.7 the held-out likelihood of 718 tokens of the
four-state system and 50 of alanine dipeptide moves by 1e-3 nats per token, and t2 by 2 %."""


def markov_anchor(
    train: Sequence[IntArray], validation: Sequence[IntArray], n_states: int, support: Support
) -> FloatArray:
    """Transition matrix counted over one token, with as many pseudo-counts as the data ask for.

    Out of each state there are as many pseudo-counts as jumps that were seen exactly once: their share of all is the
    probability that the next jump is a new one (Good-Turing; method X of Witten and Bell). They go where a walker gets
    in two steps or more, each further one with probability `GO_ON`, on the chain with symmetrised counts. Its slow
    process is that of the chain, so they move probability among neighbours and not across barriers. A prior that
    reaches everywhere at once is ruinous: it crosses the highest barrier as often as the lowest.

    Args:
        train: Discrete trajectories; no jump leads from one to the next.
        validation: The same, held out. A jump seen only here counts once, so that its likelihood is finite.
        n_states: Size of the alphabet, V.
        support: ``seen``: as above; out of a state where no jump was seen just once, nothing unseen is possible.
            ``all``: one pseudo-count more out of every state; a walker may also land anywhere, in proportion to the
            populations, once in as many times as jumps were counted. ``counted``: no pseudo-counts.

    Returns:
        Row: from, column: to; shape ``(V, V)``. Out of a state never left, the populations, every state counted once
        more.

    Source: Witten & Bell, IEEE Trans. Inf. Theory 37, 1085 (1991); Good, Biometrika 40, 237 (1953).

    Example:
        >>> markov_anchor([np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0])], [], 2, "seen").round(3).tolist()
        [[0.6, 0.4], [0.4, 0.6]]
    """
    counts = jump_counts(train, n_states)
    counts = np.where(counts == 0, jump_counts(validation, n_states) > 0, counts)
    populations = _normalised(counts.sum(axis=0, keepdims=True) + 1.0)
    pseudo = counts + np.zeros((n_states, 1))
    if support != "counted":
        extra = 1 if support == "all" else 0
        prior = _normalised(_walked(counts) + extra * populations / max(1, counts.sum()))
        pseudo += ((counts == 1).sum(axis=1, keepdims=True) + extra) * prior
    return np.where(counts.any(axis=1, keepdims=True), _normalised(pseudo), populations)


def _walked(counts: NDArray[np.int64]) -> FloatArray:
    """Where a walker ends who takes two steps, or more, on the chain with symmetrised counts."""
    again = GO_ON * _normalised((counts + counts.T).astype(np.float64))
    one = np.eye(len(counts))
    visits = np.linalg.inv(one - again)  # the sum of all powers, of which the first two are left out
    return np.asarray((1 - GO_ON) / GO_ON**2 * (visits - one - again)).clip(0)  # rounding may go below zero


def _normalised(weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights / np.where(total > 0, total, 1))
