r"""Maximum-likelihood reversible Markov model from transition counts, for many count matrices at once.

The estimate solves :math:`x_{ij} = (c_{ij} + c_{ji}) / (q_i + q_j)` with :math:`q_i = c_i / x_i` (Bowman et
al., J. Chem. Phys. 131, 124101 (2009)); the usual fixed-point iteration of it is slow exactly where
transitions are rare. In :math:`u_i = \ln q_i` the same equations are the gradient of a concave function, the
log-likelihood of a Bradley-Terry model in which state i "beats" state j :math:`c_{ij}` times, and its
curvature is the Laplacian of a weighted graph. A handful of Newton steps therefore reaches rounding error.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mdlm.trajectory import FloatArray, IntArray

MAX_NEWTON_STEPS = 100
STEP_TOLERANCE = 1e-7  # each step leaves its own square or, where the step itself is iterative, 1e-4 of it
CG_TOLERANCE = 1e-4
BATCHED_UP_TO = 128  # states; above it most pairs of states are never seen together and sparse algebra is faster
NOT_CONNECTED = "counts must be strongly connected, else the reversible estimate does not exist"


def reversible_flux(counts: FloatArray | IntArray) -> FloatArray:
    r"""Equilibrium flux :math:`x_{ij} = \pi_i T_{ij}` of the maximum-likelihood reversible Markov model.

    Args:
        counts: Shape ``(..., n_states, n_states)``; each matrix must be strongly connected.

    Returns:
        Symmetric, shape of ``counts``, each matrix summing to one. Its row sums are the stationary
        distribution, and its rows divided by them the transition matrix.

    Raises:
        ValueError: The iteration did not converge; a matrix is not strongly connected.

    Source: Trendelkamp-Schroer et al., J. Chem. Phys. 143, 174101 (2015) for the estimator; Hunter, Ann.
    Stat. 32, 384 (2004) for the Bradley-Terry model; Sun & Tran-Dinh, Math. Program. 178, 145 (2019) for the
    step length that makes Newton's method converge from any start.

    Example:
        >>> reversible_flux(np.array([[8.0, 2.0], [2.0, 8.0]])).tolist()
        [[0.4, 0.1], [0.1, 0.4]]
    """
    counts = np.asarray(counts, dtype=np.float64)
    if counts.shape[-1] == 1:
        return np.ones(counts.shape)
    if counts.shape[-1] <= BATCHED_UP_TO:
        log_q = _newton(_DensePairs(counts))
    else:
        log_q = np.empty(counts.shape[:-1])
        for index in np.ndindex(counts.shape[:-2]):
            log_q[index] = _newton(_SparsePairs(counts[index]))
    q = np.exp(log_q - log_q.mean(axis=-1, keepdims=True))
    flux = (counts + np.swapaxes(counts, -1, -2)) / (q[..., :, None] + q[..., None, :])
    return np.asarray(flux / flux.sum(axis=(-1, -2), keepdims=True))


class _Pairs(Protocol):
    """How often the states of each pair follow one another, in a layout that suits their number."""

    shape: tuple[int, ...]

    def newton_step(self, log_q: FloatArray) -> FloatArray:
        """Step from ``log_q`` to the maximum of the quadratic model there, up to a constant shift."""


def _newton(pairs: _Pairs) -> FloatArray:
    """Maximise the Bradley-Terry likelihood by damped Newton steps; returns u, shape ``pairs.shape``."""
    log_q = np.zeros(pairs.shape)
    for _ in range(MAX_NEWTON_STEPS):
        step = pairs.newton_step(log_q)
        spread = np.ptp(step, axis=-1, keepdims=True)
        log_q += step * np.divide(np.log1p(spread), spread, out=np.ones_like(spread), where=spread > 0)
        if spread.max() <= STEP_TOLERANCE:
            return log_q
    raise ValueError(f"no convergence in {MAX_NEWTON_STEPS} Newton steps; counts must be finite and not negative")


class _DensePairs:
    """Many small count matrices at once."""

    def __init__(self, counts: FloatArray) -> None:
        moves = counts * (1 - np.eye(counts.shape[-1]))  # staying does not enter the likelihood of u
        self.both_ways = moves + np.swapaxes(moves, -1, -2)
        self.leaving = moves.sum(axis=-1)
        self.shape = self.leaving.shape
        if not _strongly_connected(moves):
            raise ValueError(NOT_CONNECTED)

    def newton_step(self, log_q: FloatArray) -> FloatArray:
        from scipy.special import expit

        wins = expit(log_q[..., :, None] - log_q[..., None, :])
        expected = self.both_ways * wins
        laplacian = -expected * (1 - wins)
        diagonal = np.arange(self.shape[-1])
        laplacian[..., diagonal, diagonal] = -laplacian.sum(axis=-1)
        excess = self.leaving - expected.sum(axis=-1)
        step = np.zeros(self.shape)  # L is singular, as only differences of u matter: the last one stays
        step[..., :-1] = np.linalg.solve(laplacian[..., :-1, :-1], excess[..., :-1, None])[..., 0]
        return step


class _SparsePairs:
    """One large count matrix, by the pairs of states that occur."""

    def __init__(self, counts: FloatArray) -> None:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        moves = csr_array(counts - np.diag(np.diag(counts)))
        if connected_components(moves, connection="strong")[0] > 1:
            raise ValueError(NOT_CONNECTED)
        self.shape = counts.shape[:1]
        self.leaving: FloatArray = moves.sum(axis=1)
        self.both_ways = csr_array(moves + moves.T)
        self.second = self.both_ways.indices
        self.row_starts = self.both_ways.indptr[:-1]
        self.first = np.repeat(np.arange(len(counts)), np.diff(self.both_ways.indptr))

    def newton_step(self, log_q: FloatArray) -> FloatArray:
        from scipy.sparse import csr_array
        from scipy.sparse.linalg import LinearOperator, cg
        from scipy.special import expit

        wins = expit(log_q[self.first] - log_q[self.second])
        expected = self.both_ways.data * wins
        weight = expected * (1 - wins)
        excess = self.leaving - np.add.reduceat(expected, self.row_starts)
        scale = np.sqrt(np.add.reduceat(weight, self.row_starts))
        # Conjugate gradients on the Laplacian with unit diagonal. Its null vector is `scale`; rounding must
        # not put any of it into the right-hand side, or the iteration cannot end.
        right = excess / scale
        right -= scale * (scale @ right) / (scale @ scale)
        weight /= scale[self.first] * scale[self.second]
        pairs = csr_array((weight, self.second, self.both_ways.indptr), self.both_ways.shape)
        laplacian = LinearOperator(pairs.shape, matvec=lambda vector: vector - pairs @ vector, dtype=float)
        return np.asarray(cg(laplacian, right, rtol=CG_TOLERANCE)[0] / scale)


def _strongly_connected(moves: FloatArray) -> bool:
    """Whether in every matrix each state can be reached from each other one."""
    n_states = moves.shape[-1]
    reached = ((moves > 0) | np.eye(n_states, dtype=bool)).astype(float)
    for _ in range(n_states.bit_length()):  # doubles the length of the paths
        reached = (reached @ reached > 0).astype(float)
    return bool(reached.all())
