"""Mean first-passage times between sets of states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mdlm.trajectory import FloatArray, IntArray

PassageTime = Callable[[FloatArray, FloatArray, Any, Any, float], float]
"""`mean_first_passage_time` or what gives the same."""


def mean_first_passage_time(
    transition_matrix: FloatArray,
    stationary: FloatArray,
    origin: Sequence[int] | IntArray,
    target: Sequence[int] | IntArray,
    lag_time: float,
) -> float:
    r"""Mean time to reach ``target`` for the first time, from equilibrium within ``origin``.

    Solves :math:`m_i = \tau + \sum_{j \notin B} T_{ij} m_j` outside the target B and averages over the origin
    with the stationary weights. Passages shorter than the lag are not resolved, so compare at equal lags
    only.

    Args:
        transition_matrix: Row-stochastic, shape ``(n_states, n_states)``, estimated at ``lag_time``.
        stationary: Its stationary distribution, shape ``(n_states,)``.
        origin: States in which the passage begins.
        target: States in which it ends; none of them may be an origin.
        lag_time: :math:`\tau`, in the system's time unit.

    Returns:
        A time, unit of ``lag_time``.

    Raises:
        ValueError: A set is empty, or the sets overlap.

    Source: Norris, Markov Chains, Cambridge University Press (1997), theorem 1.3.5.

    Example:
        >>> chain = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> round(mean_first_passage_time(chain, np.array([2, 1]) / 3, [0], [1], lag_time=2.0), 10)
        20.0
    """
    if not len(origin) or not len(target):
        raise ValueError("origin and target must each hold at least one state")
    if np.intersect1d(origin, target).size:
        raise ValueError(f"origin {list(origin)} and target {list(target)} must not overlap")
    outside = np.setdiff1d(np.arange(len(stationary)), target)
    leaving = np.eye(len(outside)) - transition_matrix[np.ix_(outside, outside)]
    passage = np.zeros(len(stationary))
    passage[outside] = np.linalg.solve(leaving, np.full(len(outside), lag_time))
    weight = stationary[np.asarray(origin)]
    return float(weight @ passage[np.asarray(origin)] / weight.sum())


def mfpt_matrix(
    transition_matrix: FloatArray,
    stationary: FloatArray,
    sets: Sequence[Sequence[int] | IntArray],
    lag_time: float,
    passage_time: PassageTime = mean_first_passage_time,
) -> FloatArray:
    """Mean first-passage times between all sets.

    Args:
        transition_matrix: See `mean_first_passage_time`.
        stationary: See `mean_first_passage_time`.
        sets: Disjoint sets of states; an empty one is allowed.
        lag_time: In the system's time unit.
        passage_time: Computes each of them.

    Returns:
        Shape ``(n_sets, n_sets)``, row = origin, column = target, unit of ``lag_time``; zero on the
        diagonal and NaN where a set is empty.
    """
    times = np.zeros((len(sets), len(sets)))
    for row, origin in enumerate(sets):
        for column, target in enumerate(sets):
            if not len(origin) or not len(target):
                times[row, column] = np.nan
            elif row != column:
                times[row, column] = passage_time(transition_matrix, stationary, origin, target, lag_time)
    return times


def log_error_rms(judged: FloatArray, reference: FloatArray) -> float:
    """Root mean square of ``ln(judged / reference)`` over the ordered pairs of sets.

    Args:
        judged: Shape ``(n_sets, n_sets)``; see `mfpt_matrix`.
        reference: Same shape. A pair that it lacks (NaN) cannot be judged and is left out.

    Returns:
        Zero for equal times. NaN where ``judged`` lacks a pair that ``reference`` has (the remaining pairs
        would flatter it), or where no pair is left.
    """
    pairs = ~np.eye(len(reference), dtype=bool) & np.isfinite(reference)
    if not pairs.any():
        return float("nan")
    return float(np.sqrt(np.mean(np.log(judged[pairs] / reference[pairs]) ** 2)))
