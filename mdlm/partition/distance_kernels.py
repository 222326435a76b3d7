"""Compiled search for the nearest centre."""

from __future__ import annotations

import numpy as np
from numba import njit

from mdlm.trajectory import FloatArray, IntArray


@njit(fastmath={"reassoc", "contract"}, nogil=True, cache=True)  # sums in any order, else no vector instructions
def nearest(frames: FloatArray, centres: FloatArray, states: IntArray, squared: FloatArray) -> None:
    """Index of the nearest centre of each frame, of equally near ones the first, and its squared distance.

    Differences are squared and summed, not expanded into products, so that nothing cancels and a frame is at
    distance zero of itself.

    Args:
        frames: Shape ``(n_frames, n_columns)``.
        centres: Shape ``(n_centres, n_columns)``.
        states: Written to, shape ``(n_frames,)``.
        squared: Written to, shape ``(n_frames,)``.
    """
    for frame in range(len(frames)):
        smallest, closest = np.inf, 0
        for centre in range(len(centres)):
            total = 0.0
            for column in range(frames.shape[1]):
                difference = frames[frame, column] - centres[centre, column]
                total += difference * difference
            if total < smallest:
                smallest, closest = total, centre
        states[frame] = closest
        squared[frame] = smallest
