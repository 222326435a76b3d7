"""Compiled search for the longest segment that two sets of sequences share, and a surrogate to compare it with."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdlm.trajectory import FloatArray, IntArray

HashArray = NDArray[np.uint64]
BASE = np.uint64(0x9E3779B97F4A7C15)  # of the rolling hash; any large odd number
ZERO = np.uint64(0)


@njit(nogil=True, cache=True)
def _mixed(key: np.uint64) -> np.uint64:
    """Spread a hash over its low bits, which number the slots."""
    key = (key ^ (key >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return key ^ (key >> np.uint64(29))


@njit(nogil=True, cache=True)
def _power(width: int) -> np.uint64:
    """The base to the power of ``width``, modulo 2^64."""
    power = np.uint64(1)
    for _ in range(width):
        power *= BASE
    return power


@njit(nogil=True, cache=True)
def enter_windows(
    text: IntArray, edges: IntArray, values: HashArray, width: int, keys: HashArray, starts: IntArray, seen: IntArray
) -> None:
    """Enter every window of ``width`` entries into a hash table, the first of equal ones.

    Args:
        text: All pieces one after the other, shape ``(n_entries,)``.
        edges: Where each begins and ends, shape ``(n_pieces + 1,)``; no window crosses.
        values: A random number for each symbol.
        width: Entries of a window.
        keys: Hashes, shape ``(n_slots,)`` with a power of two of slots, more than there are windows; filled.
        starts: First entry of the window in each slot, -1 for none; filled.
        seen: Whether any window has these low bits, shape of a larger power of two; filled. Small enough for the
            processor's cache, it answers most questions.
    """
    starts[:] = -1
    seen[:] = 0
    power, mask, seen_mask = _power(width), np.uint64(len(keys) - 1), np.uint64(len(seen) - 1)
    for piece in range(len(edges) - 1):
        key = ZERO
        for end in range(edges[piece], edges[piece + 1]):
            key = key * BASE + values[text[end]]
            start = end - width + 1
            if start < edges[piece]:
                continue
            if start > edges[piece]:
                key -= values[text[start - 1]] * power
            mixed = _mixed(key)
            seen[mixed & seen_mask] = 1
            slot = mixed & mask
            while starts[slot] >= 0 and keys[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            if starts[slot] < 0:
                keys[slot], starts[slot] = key, start


@njit(nogil=True, cache=True)
def find_window(
    text: IntArray,
    edges: IntArray,
    values: HashArray,
    width: int,
    keys: HashArray,
    starts: IntArray,
    seen: IntArray,
    known: IntArray,
) -> tuple[int, int, int]:
    """Find the first window of ``text`` that is among those entered from ``known``, compared entry by entry.

    Returns:
        Its piece, its first entry in ``text`` and that in ``known``; -1 each where there is none.
    """
    power, mask, seen_mask = _power(width), np.uint64(len(keys) - 1), np.uint64(len(seen) - 1)
    for piece in range(len(edges) - 1):
        key = ZERO
        for end in range(edges[piece], edges[piece + 1]):
            key = key * BASE + values[text[end]]
            start = end - width + 1
            if start < edges[piece]:
                continue
            if start > edges[piece]:
                key -= values[text[start - 1]] * power
            mixed = _mixed(key)
            if not seen[mixed & seen_mask]:
                continue
            slot = mixed & mask
            while starts[slot] >= 0 and keys[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            there = starts[slot]
            if there >= 0 and (known[there : there + width] == text[start : end + 1]).all():
                return piece, start, there
    return -1, -1, -1


@njit(nogil=True, cache=True)
def walk_visits(
    rng: np.random.Generator,
    frames: IntArray,
    start: int,
    jumps: FloatArray,
    dwells: IntArray,
    offsets: IntArray,
    leavable: NDArray[np.bool_],
) -> None:
    """Fill ``frames`` with visits: dwells drawn from those of the state, the next state from its jumps.

    Args:
        rng: Random numbers.
        frames: Shape ``(n_frames,)``, filled.
        start: First state.
        jumps: Cumulative jump probabilities, shape ``(n_states, n_states)``; the rows of leavable states end at 1.
        dwells: Dwells of all states in frames, those of a state together.
        offsets: Where those of each state begin and end, shape ``(n_states + 1,)``.
        leavable: Whether each state has jumps; one that has none is kept to the end.
    """
    here, frame = start, 0
    while frame < len(frames):
        stay = len(frames)
        if leavable[here]:
            stay = dwells[offsets[here] + int(rng.random() * (offsets[here + 1] - offsets[here]))]
        end = min(len(frames), frame + stay)
        frames[frame:end] = here
        frame = end
        if leavable[here]:
            drawn = rng.random()
            row = jumps[here]
            here = 0
            while row[here] <= drawn:
                here += 1
