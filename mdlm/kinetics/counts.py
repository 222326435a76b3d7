"""Transition counts with a sliding window; no count ever crosses the boundary between two pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mdlm.trajectory import IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CHUNK_FRAMES = 1 << 18  # transitions numbered at once, 2 MB


def count_matrix(pieces: Iterable[IntArray], n_states: int, lag: int) -> IntArray:
    """Count the transitions over ``lag`` frames, starting at every frame, summed over the pieces.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``; those not longer than ``lag`` hold no
            transition.
        n_states: Size of the alphabet.
        lag: Frames between the two ends of a transition.

    Returns:
        Shape ``(n_states, n_states)``; entry ``[i, j]`` counts i at the start and j at the end.

    Raises:
        ValueError: The lag is below one frame, or a state lies outside ``[0, n_states)``.

    Example:
        >>> count_matrix([np.array([0, 0, 1]), np.array([1, 0])], 2, lag=1).tolist()
        [[1, 1], [1, 0]]
    """
    counts = np.zeros(n_states * n_states, dtype=np.int64)
    for piece in pieces:
        _check(piece, n_states, lag)
        for first in range(0, len(piece) - lag, CHUNK_FRAMES):
            _add_codes(counts, _codes(piece, n_states, lag, first, first + CHUNK_FRAMES))
    return counts.reshape(n_states, n_states)


def transition_counts(pieces: Iterable[IntArray], n_states: int) -> IntArray:
    """Count the transitions between neighbouring frames; see `count_matrix`."""
    return count_matrix(pieces, n_states, lag=1)


def piece_count_matrices(
    pieces: Sequence[IntArray], n_states: int, lag: int, edges: Sequence[IntArray] | None = None
) -> csr_array:
    """Count the transitions of every piece, or of every block of every piece, by itself.

    A transition belongs to the block in which it starts, so cutting a piece into blocks loses no transition.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``.
        n_states: Size of the alphabet.
        lag: Frames between the two ends of a transition.
        edges: For each piece the frames at which its blocks begin and end, ``[0, ..., n_frames]``; see
            `mdlm.kinetics.bootstrap.block_edges`. None: every piece is one block.

    Returns:
        Sparse, shape ``(n_blocks, n_states**2)``; row b, reshaped to ``(n_states, n_states)``, is the count
        matrix of block b. Sparse because hundreds of dense matrices of a large alphabet would not fit.

    Raises:
        ValueError: See `count_matrix`.

    Example:
        >>> rows = piece_count_matrices([np.array([0, 0, 1]), np.array([1, 0])], 2, lag=1)
        >>> rows.toarray().tolist()
        [[1, 1, 0, 0], [0, 0, 1, 0]]
    """
    from scipy.sparse import csr_array

    if edges is None:
        edges = [np.array([0, len(piece)]) for piece in pieces]
    columns, values = [], []
    for piece, cuts in zip(pieces, edges, strict=True):
        _check(piece, n_states, lag)
        for first, last in pairwise(cuts):
            column, value = _occupied(_codes(piece, n_states, lag, first, last), n_states * n_states)
            columns.append(column)
            values.append(value)
    ends = np.cumsum([0, *(len(column) for column in columns)])
    shape = (len(columns), n_states * n_states)
    if not columns:
        return csr_array(shape, dtype=np.int64)
    return csr_array((np.concatenate(values), np.concatenate(columns), ends), shape=shape)


def _check(piece: IntArray, n_states: int, lag: int) -> None:
    """Raise `ValueError` for a lag or a state that is not allowed."""
    if lag < 1:
        raise ValueError(f"lag ({lag}) must be at least 1 frame")
    if len(piece) and not (piece.min() >= 0 and piece.max() < n_states):
        raise ValueError(f"states {piece.min()}..{piece.max()} found; allowed are 0..{n_states - 1}")


def _codes(piece: IntArray, n_states: int, lag: int, first: int, last: int) -> IntArray:
    """Number the transitions that start in frames ``first`` to ``last`` of one piece, ``start * n_states + end``.

    Only these frames become wide integers: a long piece of narrow ones, perhaps on disk, is never copied whole.
    """
    last = max(first, min(last, len(piece) - lag))
    codes: IntArray = piece[first:last].astype(np.intp)
    codes *= n_states
    codes += piece[first + lag : last + lag]
    return codes


def _add_codes(counts: IntArray, codes: IntArray) -> None:
    """Add how often each code occurs to ``counts``, in place."""
    if counts.size <= 16 * codes.size:
        counts += np.bincount(codes, minlength=counts.size)
    else:
        np.add.at(counts, codes, 1)


def _occupied(codes: IntArray, n_codes: int) -> tuple[IntArray, IntArray]:
    """Return the codes that occur, ascending, and how often each does."""
    if n_codes > 16 * codes.size:  # a short block of a large alphabet: sorting it is cheaper than a long histogram
        return np.unique_counts(codes)
    counts = np.bincount(codes, minlength=n_codes)
    occupied = np.flatnonzero(counts)
    return occupied, counts[occupied]
