"""Implied timescales of transition matrices."""

from __future__ import annotations

import numpy as np

from mdlm.trajectory import FloatArray

DENSE_UP_TO = 200  # states; above it a few extremal eigenvalues are cheaper by Lanczos iteration


def implied_timescales(transition_matrix: FloatArray, lag_time: float, n_timescales: int) -> FloatArray:
    r"""Slowest relaxation times of a Markov state model, :math:`t_i = -\tau / \ln|\lambda_i|`.

    Args:
        transition_matrix: Row-stochastic, shape ``(n_states, n_states)``, estimated at ``lag_time``.
        lag_time: :math:`\tau`, in the system's time unit.
        n_timescales: How many to return; the stationary process is not one of them.

    Returns:
        Shape ``(n_timescales,)``, unit of ``lag_time``, slowest first; infinite for an eigenvalue of one.

    Raises:
        ValueError: Rows do not sum to one, or more timescales are asked for than exist.

    Source: Prinz et al., J. Chem. Phys. 134, 174105 (2011).

    Example:
        >>> implied_timescales(np.array([[0.75, 0.25], [0.25, 0.75]]), lag_time=np.log(2), n_timescales=1)
        array([1.])
    """
    n_states = len(transition_matrix)
    if not np.allclose(transition_matrix.sum(axis=1), 1):
        raise ValueError("transition_matrix: every row must sum to one")
    if n_timescales > n_states - 1:
        raise ValueError(f"n_timescales ({n_timescales}) must be at most {n_states - 1} for {n_states} states")
    moduli = np.sort(np.abs(np.linalg.eigvals(transition_matrix)))[::-1]
    return relaxation_times(moduli[1 : n_timescales + 1], lag_time)


def flux_timescales(flux: FloatArray, lag_time: float, n_timescales: int) -> FloatArray:
    """Implied timescales of reversible models given by their equilibrium fluxes, many at once.

    Args:
        flux: Symmetric, shape ``(..., n_states, n_states)``; see `mdlm.kinetics.reversible.reversible_flux`.
        lag_time: Lag of the underlying counts, in the system's time unit.
        n_timescales: How many to return.

    Returns:
        Shape ``(..., n_timescales)``, slowest first; NaN where there are not that many states.
    """
    n_states = flux.shape[-1]
    root = np.sqrt(flux.sum(axis=-1))
    n_found = min(n_timescales, n_states - 1)
    times = np.full((*flux.shape[:-2], n_timescales), np.nan)
    if n_states <= max(DENSE_UP_TO, n_timescales + 2):
        symmetric = flux / (root[..., :, None] * root[..., None, :])
        moduli = np.sort(np.abs(np.linalg.eigvalsh(symmetric)), axis=-1)[..., ::-1]
        times[..., :n_found] = relaxation_times(moduli[..., 1 : n_found + 1], lag_time)
    else:
        for index in np.ndindex(flux.shape[:-2]):
            moduli = _largest_moduli(flux[index], root[index], n_found + 1)
            times[index] = relaxation_times(moduli[1:], lag_time)
    return times


def _largest_moduli(flux: FloatArray, root: FloatArray, number: int) -> FloatArray:
    """Largest eigenvalue moduli of the symmetrised transition matrix, descending, shape ``(number,)``."""
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import eigsh

    matrix = csr_array(flux)
    matrix.data /= np.repeat(root, np.diff(matrix.indptr)) * root[matrix.indices]
    # A fixed start vector: the same counts give the same bits.
    start = np.random.default_rng(0).standard_normal((len(root),))
    found, _ = eigsh(matrix, number, which="LM", v0=start)
    return np.asarray(np.sort(np.abs(found))[::-1])


def relaxation_times(moduli: FloatArray, lag_time: float) -> FloatArray:
    r"""Turn eigenvalue moduli into times, :math:`-\tau / \ln|\lambda|`: zero for 0, infinite from 1 on.

    Example:
        >>> relaxation_times(np.array([1.0, np.exp(-0.5), 0.0]), lag_time=1.0)
        array([inf,  2.,  0.])
    """
    with np.errstate(divide="ignore"):
        exponents = np.maximum(-np.log(moduli), 0.0)
        return np.asarray(lag_time / exponents)
