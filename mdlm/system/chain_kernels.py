"""Compiled sampling of a discrete Markov chain."""

from __future__ import annotations

import numpy as np
from numba import njit

from mdlm.trajectory import FloatArray


@njit(nogil=True, cache=True)
def walk(rng: np.random.Generator, state: FloatArray, frames: FloatArray, cumulative: FloatArray) -> None:
    """Step a chain by inverse CDF; moves ``state`` and fills ``frames``.

    Args:
        rng: The walker's random numbers.
        state: Shape ``(1,)``: the state index, changed in place.
        frames: Shape ``(n_frames, 1)``, filled with state indices.
        cumulative: Cumulative transition probabilities, shape ``(n_states, n_states)``; rows end at 1.
    """
    here = int(state[0])
    for frame in range(len(frames)):
        drawn = rng.random()
        row = cumulative[here]
        here = 0
        while row[here] <= drawn:
            here += 1
        frames[frame, 0] = here
    state[0] = here
