"""Entropy rates: how many nats per token a Markov model of first order cannot predict."""

from __future__ import annotations

import numpy as np

from mdlm.trajectory import FloatArray, IntArray


def markov_entropy_rate(transition_matrix: FloatArray, stationary: FloatArray) -> float:
    r"""Entropy rate of a stationary Markov chain, :math:`-\sum_i \pi_i \sum_j T_{ij} \ln T_{ij}`.

    Args:
        transition_matrix: Row-stochastic, shape ``(n_states, n_states)``.
        stationary: Its stationary distribution, shape ``(n_states,)``.

    Returns:
        Nats per step.

    Source: Cover & Thomas, Elements of Information Theory, theorem 4.2.4.

    Example:
        >>> round(markov_entropy_rate(np.full((2, 2), 0.5), np.array([0.5, 0.5])), 6)
        0.693147
    """
    from scipy.special import xlogy

    return float(-(stationary @ xlogy(transition_matrix, transition_matrix).sum(axis=1)))


def count_entropy_rate(counts: IntArray) -> float:
    r"""Plug-in entropy rate of order one, :math:`-\sum_{ij} (c_{ij}/N) \ln(c_{ij}/c_i)`.

    This is the cross-entropy that the best Markov model of the counted tokens reaches on those same tokens.
    No detailed balance is imposed: a language model need not be reversible either.

    Args:
        counts: Transitions at one token frame, shape ``(n_states, n_states)``.

    Returns:
        Nats per token; NaN where there are no counts.

    Example:
        >>> round(count_entropy_rate(np.array([[2, 2], [0, 4]])), 6)  # half the tokens are a coin toss
        0.346574
    """
    from scipy.special import xlogy

    total = counts.sum()
    if not total:
        return np.nan
    gained = xlogy(counts.sum(axis=1), counts.sum(axis=1)).sum() - xlogy(counts, counts).sum()
    return max(0.0, float(gained / total))  # rounding may take it below zero
