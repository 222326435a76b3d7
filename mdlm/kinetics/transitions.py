"""How often the state changes: rates, their ratio, and changes that the reference never made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.comparison import Interval
from mdlm.trajectory import IntArray

MOST_FREQUENT = 20  # kinds of unseen transitions that are listed


@dataclass(frozen=True)
class UnseenTransitions:
    """Changes of state that the sample makes and the reference never does.

    Attributes:
        n_kinds: Ordered pairs of states.
        n_transitions: Transitions between them.
        rate: The same per transition of the sample, stays included; so, but for the last of each chain, per token.
        share: The same as a share of all changes of state in the sample.
        pairs: The most frequent at most twenty, as ``(from, to, transitions)``.
    """

    n_kinds: int
    n_transitions: int
    rate: float
    share: float
    pairs: tuple[tuple[int, int, int], ...]


def n_changes(counts: IntArray) -> int:
    """Transitions from a state to another one.

    Args:
        counts: Transitions over one frame, shape ``(n_states, n_states)``; see `mdlm.kinetics.counts`.

    Example:
        >>> n_changes(np.array([[5, 2], [1, 7]]))
        3
    """
    return int(counts.sum() - counts.trace())


def rate_ratio(
    n_judged: float, judged_duration: float, n_reference: float, reference_duration: float, confidence: float
) -> Interval:
    r"""Ratio of two rates of rare events, with the exact interval for Poisson counts.

    Given their sum, the first of two Poisson counts is binomial; the bounds are Clopper-Pearson's on that
    probability p, turned into the ratio by :math:`p/(1-p) \cdot T_2/T_1`. Transitions that come in bunches
    (recrossings) are no Poisson events: the interval is then too narrow.

    Args:
        n_judged: Events of the sequence judged.
        judged_duration: Its time.
        n_reference: Events of the reference; need not be whole where it is a mean over the offsets of a stride.
        reference_duration: Its time, in the same unit.
        confidence: Probability mass of the interval.

    Returns:
        Ratio and bounds; NaN where there are no events or no time at all, infinite where the reference has none.

    Source: Przyborowski & Wilenski, Biometrika 31, 313 (1940).

    Example:
        >>> ratio = rate_ratio(10, 1.0, 10, 2.0, confidence=0.9)
        >>> round(ratio.low, 2), ratio.value, round(ratio.high, 2)
        (0.87, 2.0, 4.62)
    """
    from scipy.stats import beta

    if not (judged_duration > 0 and reference_duration > 0 and n_judged + n_reference > 0):
        return Interval(np.nan, np.nan, np.nan)
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, n_judged, n_reference + 1)) if n_judged else 0.0
    high = float(beta.ppf(1 - tail, n_judged + 1, n_reference)) if n_reference else 1.0
    shares = (n_judged / (n_judged + n_reference), low, high)
    odds = [share / (1 - share) if share < 1 else np.inf for share in shares]
    return Interval(*(odd * reference_duration / judged_duration for odd in odds))


def unseen_transitions(judged: IntArray, reference: IntArray) -> UnseenTransitions:
    """Find the changes of state that the reference never makes.

    How many are to be expected by chance depends on how much the reference saw: a longer one makes fewer unseen.

    Args:
        judged: Transitions of the sample over one frame, shape ``(n_states, n_states)``.
        reference: Those of the reference over the same time, same shape.

    Returns:
        Rate and share are NaN where there is nothing to divide by.

    Raises:
        ValueError: The two have different alphabets.

    Example:
        >>> found = unseen_transitions(np.array([[3, 1], [2, 4]]), np.array([[9, 1], [0, 9]]))
        >>> found.n_kinds, found.n_transitions, found.rate, found.pairs
        (1, 2, 0.2, ((1, 0, 2),))
    """
    if judged.shape != reference.shape:
        raise ValueError(f"judged has {len(judged)} states; it must have those of the reference, {len(reference)}")
    changes = judged.copy()
    np.fill_diagonal(changes, 0)
    unseen = np.where(reference == 0, changes, 0)
    start, end = np.nonzero(unseen)
    order = np.argsort(-unseen[start, end], kind="stable")[:MOST_FREQUENT]
    listed = [(int(start[k]), int(end[k]), int(unseen[start[k], end[k]])) for k in order]
    total, n_tokens, n_all = int(unseen.sum()), int(judged.sum()), int(changes.sum())
    return UnseenTransitions(
        n_kinds=len(start),
        n_transitions=total,
        rate=total / n_tokens if n_tokens else np.nan,
        share=total / n_all if n_all else np.nan,
        pairs=tuple(listed),
    )
