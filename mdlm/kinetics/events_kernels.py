"""Compiled search for the changes of side that last."""

from __future__ import annotations

import numpy as np
from numba import njit

from mdlm.trajectory import IntArray


@njit(nogil=True, cache=True)
def held_changes(piece: IntArray, codes: IntArray, min_frames: int, hold: float) -> IntArray:
    """See `mdlm.kinetics.events.slow_events`; one pass, and no memory but one window.

    Args:
        piece: State sequence, shape ``(n_frames,)``.
        codes: Side of each state, 0, 1 or -1, shape ``(n_states,)``.
        min_frames: Length of the window.
        hold: Part of the window that must lie on a side.

    Returns:
        Shape ``(n_events, 2)``.
    """
    sides = np.zeros(min_frames, np.int64)  # of the window, and the frames they belong to, both as a ring
    frames = np.zeros(min_frames, np.int64)
    events = [(0, 0) for _ in range(0)]
    n_seen, n_ones, held, held_from = 0, 0, -1, 0
    for frame in range(len(piece)):
        side = codes[piece[frame]]
        if side < 0:
            continue
        slot = n_seen % min_frames
        n_ones += side - sides[slot]
        sides[slot], frames[slot] = side, frame
        n_seen += 1
        if n_seen < min_frames or (1 - hold) * min_frames < n_ones < hold * min_frames:
            continue
        now = 1 if 2 * n_ones > min_frames else 0
        if held >= 0 and now != held:
            events.append((held_from, frame + 1))
        held, held_from = now, frames[n_seen % min_frames]
    found = np.zeros((len(events), 2), np.int64)
    for number, (first, after) in enumerate(events):
        found[number, 0], found[number, 1] = first, after
    return found
