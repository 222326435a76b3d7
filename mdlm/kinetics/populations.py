"""How much time is spent in each state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdlm.trajectory import FloatArray, IntArray

CHUNK_FRAMES = 1 << 18  # turned into wide integers at once, 2 MB


def populations(pieces: Sequence[IntArray], n_states: int) -> FloatArray:
    """Share of all frames in each state, shape ``(n_states,)``; NaN where there are no frames.

    Example:
        >>> populations([np.array([0, 0, 1]), np.array([1])], 3).tolist()
        [0.5, 0.5, 0.0]
    """
    visits = np.zeros(n_states)
    for piece in pieces:
        for first in range(0, len(piece), CHUNK_FRAMES):
            visits += np.bincount(piece[first : first + CHUNK_FRAMES], minlength=n_states)
    return visits / visits.sum() if visits.sum() else np.full(n_states, np.nan)


def total_variation_distance(first: FloatArray, second: FloatArray) -> float:
    r"""Half the summed difference of two distributions, :math:`\frac12 \sum_i |p_i - q_i|`, from 0 to 1.

    Example:
        >>> total_variation_distance(np.array([0.5, 0.5]), np.array([0.25, 0.75]))
        0.25
    """
    return float(0.5 * np.abs(first - second).sum())


def kullback_leibler_divergence(first: FloatArray, second: FloatArray) -> float:
    r"""Kullback-Leibler divergence :math:`D(p \| q) = \sum_i p_i \ln (p_i / q_i)`, in nats.

    With the data as ``first`` and the sample as ``second`` it is what describing the data by the sample's populations
    costs: infinite where the sample lacks a state that the data have, while states that only the sample visits cost
    nothing but their share. Nothing is added to zeros; the sum runs over the states with :math:`p_i > 0`.

    Args:
        first: p, shape ``(n_states,)``, sums to one.
        second: q, same shape.

    Returns:
        At least zero; NaN where either is unknown.

    Source: Cover & Thomas, Elements of Information Theory, section 2.3.

    Example:
        >>> p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
        >>> round(kullback_leibler_divergence(p, q), 6), kullback_leibler_divergence(q, p)
        (0.693147, inf)
    """
    from scipy.special import rel_entr

    return float(rel_entr(first, second).sum())
