"""Markov state models: the largest connected set of states and its reversible transition matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.reversible import reversible_flux
from mdlm.trajectory import FloatArray, IntArray


@dataclass(frozen=True)
class TransitionMatrix:
    """A reversible transition matrix on the states that could be connected, and what was left out.

    Attributes:
        matrix: Row-stochastic, shape ``(n_active, n_active)``.
        stationary: Stationary distribution, shape ``(n_active,)``.
        active: State of each row, ascending, shape ``(n_active,)``.
        n_states: Size of the whole alphabet.
        active_share: Share of all counts that start and end in the active set.
        dropped: Visited states outside the active set, ascending.
    """

    matrix: FloatArray
    stationary: FloatArray
    active: IntArray
    n_states: int
    active_share: float
    dropped: IntArray

    def rows_of(self, states: IntArray | tuple[int, ...]) -> IntArray:
        """Rows of those ``states`` that are in the active set."""
        return np.flatnonzero(np.isin(self.active, states))


def connected_set(counts: IntArray | FloatArray) -> IntArray:
    """Find the strongly connected set that holds the most counts.

    Counts and not the number of states decide, so that one well-sampled state outweighs a few stray ones.

    Args:
        counts: Shape ``(n_states, n_states)``.

    Returns:
        Its states, ascending; empty where there are no counts.

    Example:
        >>> connected_set(np.array([[5, 1, 0], [1, 5, 1], [0, 0, 1]])).tolist()
        [0, 1]
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if not counts.sum():
        return np.zeros(0, dtype=np.intp)
    start, end = np.nonzero(counts)
    observed: FloatArray = counts[start, end].astype(np.float64)
    graph = csr_array((observed, (start, end)), shape=counts.shape)
    n_sets, label = connected_components(graph, connection="strong")
    inside = label[start] == label[end]
    held = np.bincount(label[start[inside]], weights=observed[inside], minlength=n_sets)
    return np.flatnonzero(label == held.argmax())


def reversible_transition_matrix(counts: IntArray | FloatArray) -> TransitionMatrix:
    """Estimate the maximum-likelihood reversible transition matrix on the largest connected set.

    Args:
        counts: Sliding-window counts, shape ``(n_states, n_states)``.

    Returns:
        Matrix, stationary distribution, and which states and share of the counts were left out; an empty
        matrix where there are no counts.

    Raises:
        ValueError: A count is negative or not finite.

    Source: Prinz et al., J. Chem. Phys. 134, 174105 (2011); solver in `mdlm.kinetics.reversible`.

    Example:
        >>> msm = reversible_transition_matrix(np.array([[8, 2, 0], [2, 8, 1], [0, 0, 1]]))
        >>> msm.matrix.tolist(), msm.active.tolist(), msm.dropped.tolist()
        ([[0.8, 0.2], [0.2, 0.8]], [0, 1], [2])
    """
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError("counts must be finite and not negative")
    active = connected_set(counts)
    visited = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    kept = counts[np.ix_(active, active)]
    flux = reversible_flux(kept) if len(active) else np.zeros((0, 0))
    stationary = flux.sum(axis=1)
    return TransitionMatrix(
        matrix=flux / stationary[:, None],
        stationary=stationary,
        active=active,
        n_states=len(counts),
        active_share=float(kept.sum() / counts.sum()) if len(active) else 0.0,
        dropped=np.setdiff1d(visited, active),
    )
