"""Compiled counting of first passages in a state sequence."""

from __future__ import annotations

import numpy as np
from numba import njit

from mdlm.trajectory import IntArray


@njit(nogil=True, cache=True)
def add_passages(
    codes: IntArray, lag: int, waits: IntArray, ended: IntArray, cut: IntArray, passages: IntArray
) -> None:
    """Add the waiting times of one piece, seen every ``lag`` frames from each of the first ``lag`` frames on.

    Args:
        codes: Set of each frame, -1 for none, shape ``(n_frames,)``.
        lag: Frames between two looks.
        waits: Frames waited from each set (row) for each other (column), the waits that were cut off included;
            shape ``(n_sets, n_sets)``, as all that follow; changed in place.
        ended: Waits that ended.
        cut: Waits that the end of the piece cut off.
        passages: Passages from set to set: waits for the same arrival are one passage.
    """
    n_sets = len(waits)
    arrival = np.empty(n_sets, dtype=np.int64)
    counted = np.empty((n_sets, n_sets), dtype=np.int64)
    for offset in range(min(lag, len(codes))):
        end = offset + (len(codes) - 1 - offset) // lag * lag
        arrival[:] = -1
        counted[:] = -1
        for frame in range(end, -1, -lag):
            here = codes[frame]
            if here < 0:
                continue
            for target in range(n_sets):
                if target == here:
                    continue
                arrived = arrival[target]
                if arrived < 0:
                    waits[here, target] += end - frame
                    cut[here, target] += 1
                    continue
                waits[here, target] += arrived - frame
                ended[here, target] += 1
                if counted[here, target] != arrived:
                    counted[here, target] = arrived
                    passages[here, target] += 1
            arrival[here] = frame
