"""How long a state sequence remembers the state it is in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdlm.kinetics.populations import populations
from mdlm.trajectory import FloatArray, IntArray


def state_autocorrelation(pieces: Sequence[IntArray], n_states: int, lags: Sequence[int] | IntArray) -> FloatArray:
    r"""Autocorrelation of the states' indicator functions, summed over the states.

    .. math:: C(\tau) = \frac{\sum_i P(s_t = i, s_{t+\tau} = i) - \pi_i^2}{1 - \sum_i \pi_i^2}

    One at lag zero, zero where frames are independent; for a Markov chain in equilibrium
    :math:`\sum_i P(s_t = i, s_{t+\tau} = i) = \sum_i \pi_i (T^\tau)_{ii}`.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``; no pair of frames crosses from one to the next.
        n_states: Size of the alphabet.
        lags: In frames, none negative.

    Returns:
        Shape ``(n_lags,)``; NaN where no piece is longer than the lag, or where only one state is visited.

    Example:
        >>> state_autocorrelation([np.array([0, 1, 0, 1])], 2, [0, 1, 2]).tolist()
        [1.0, -1.0, 1.0]
    """
    by_chance = float(np.square(populations(pieces, n_states)).sum())
    values = np.full(len(lags), np.nan)
    for index, lag in enumerate(lags):
        n_pairs = sum(max(0, len(piece) - lag) for piece in pieces)
        if n_pairs and by_chance < 1:
            same = sum(int((piece[: len(piece) - lag] == piece[lag:]).sum()) for piece in pieces if len(piece) > lag)
            values[index] = (same / n_pairs - by_chance) / (1 - by_chance)
    return values


def indicator_autocorrelations(pieces: Sequence[IntArray], n_states: int, lags: Sequence[int] | IntArray) -> FloatArray:
    r"""Autocorrelation of each state's indicator function.

    .. math:: C_i(\tau) = \frac{P(s_t = i, s_{t+\tau} = i) - \pi_i^2}{\pi_i (1 - \pi_i)}

    For a Markov chain in equilibrium :math:`P(s_t = i, s_{t+\tau} = i) = \pi_i (T^\tau)_{ii}`. Pairs are counted at
    each lag: on some dozen lags that is less work than a Fourier transform of every indicator, and exact.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``; no pair of frames crosses from one to the next.
        n_states: Size of the alphabet.
        lags: In frames, none negative; see `logarithmic_lags`.

    Returns:
        Shape ``(n_states, n_lags)``; NaN where no piece is longer than the lag, or where the state is never or
        always visited.

    Example:
        >>> indicator_autocorrelations([np.array([0, 1, 0, 1])], 3, [0, 1]).tolist()
        [[1.0, -1.0], [1.0, -1.0], [nan, nan]]
    """
    shares = populations(pieces, n_states)[:, None]
    together = np.full((n_states, len(lags)), np.nan)
    for index, lag in enumerate(lags):
        pairs = [(piece[: len(piece) - lag], piece[lag:]) for piece in pieces if len(piece) > lag]
        same = sum((np.bincount(start[start == end], minlength=n_states) for start, end in pairs), np.zeros(n_states))
        if pairs:
            together[:, index] = same / sum(len(start) for start, _ in pairs)
    variance = np.where((shares > 0) & (shares < 1), shares * (1 - shares), np.nan)
    return np.asarray((together - np.square(shares)) / variance)


def logarithmic_lags(longest: int, n_lags: int) -> IntArray:
    """Whole lags from zero to ``longest``, evenly spaced on a logarithmic axis from one on; fewer where they coincide.

    Example:
        >>> logarithmic_lags(100, 6).tolist()
        [0, 1, 3, 10, 32, 100]
    """
    return np.union1d([0], np.geomspace(1, max(longest, 1), max(n_lags - 1, 1)).round()).astype(np.intp)
