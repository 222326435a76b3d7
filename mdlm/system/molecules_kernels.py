"""Compiled search for bonds that run through the edge of a periodic cell."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdlm.trajectory import FloatArray, IntArray


@njit(nogil=True, cache=True)
def has_long_bond(positions: FloatArray, near: IntArray, far: IntArray, longest: float) -> NDArray[np.bool_]:
    """Whether any bond of each frame is longer than ``longest``, shape ``(n_frames,)``.

    Args:
        positions: Shape ``(n_frames, n_atoms, 3)``, nm.
        near: One atom of each bond.
        far: The other.
        longest: In nm.
    """
    found = np.zeros(len(positions), dtype=np.bool_)
    for frame in range(len(positions)):
        for bond in range(len(near)):
            squared = 0.0
            for axis in range(3):
                squared += (positions[frame, far[bond], axis] - positions[frame, near[bond], axis]) ** 2
            if squared > longest * longest:
                found[frame] = True
                break
    return found
