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
